"""`codeformer fix`: pictures in, pictures with restored faces out, one after the other, and a report."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import torch
import torch.nn.functional as F
from tqdm import tqdm

from .. import checkpoints, pictures
from ..faces import AlignedFaces, DetectionOptions, Face, Skipped
from ..masks import MASKS
from ..pictures import Picture
from ..pictures.encode import FORMATS
from ..pipeline import Tick, enlarge, fix_aligned, fix_faces
from ..preview import preview
from ..selection import CHOICES
from .jobs import Job, plan
from .models import obtain

# What one picture may fail with while the others go on: files, formats, memory, and what the decoders say.
_FAILURES = (OSError, ValueError, RuntimeError, MemoryError, cv2.error)


class Models(NamedTuple):
    """The networks of one command; those that it does not need are None."""

    restorer: Any
    detector: Any
    parser: Any


class Outcome(NamedTuple):
    """What became of one picture: sentences for the user, and how many faces were found and restored."""

    lines: list[str]
    found: int
    restored: int


@dataclass
class Report:
    """What became of all pictures so far."""

    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def summary(self, jobs: int, seconds: float) -> str:
        """The last line of the command."""
        found, restored = sum(o.found for o in self.outcomes), sum(o.restored for o in self.outcomes)
        done, failed = len(self.outcomes), len(self.failures)
        stopped = f", {jobs - done - failed} not begun" if done + failed < jobs else ""
        return (
            f"Pictures: {done} of {jobs} done, {failed} failed{stopped}. "
            f"Faces: {found} found, {restored} restored, {found - restored} skipped. {seconds:.1f} seconds."
        )


def run(args: Namespace) -> int:
    """Do the command. Returns the exit status: 0 every picture done, 1 some failed, 2 usage, 130 stopped by the user."""
    try:
        jobs = plan(args.paths, args.out, recursive=args.recursive, suffix=args.suffix, end=args.format, crops=args.save_crops)
        device = _device(args.device)
    except ValueError as error:
        tqdm.write(f"codeformer fix: {error}", file=sys.stderr)
        return 2
    try:
        models = _models(args, device)
    except (OSError, ValueError) as error:
        tqdm.write(f"codeformer fix: {error}", file=sys.stderr)
        return 1
    taken = {path.resolve() for job in jobs for path in (job.source, job.target)}
    report, begun, stopped = Report(), time.perf_counter(), False
    with _bars(len(jobs), args.quiet) as (step, tick):
        try:
            for job in jobs:
                _attempt(job, taken, models, args, device, tick, report)
                step()
        except KeyboardInterrupt:
            stopped = True
    if not args.quiet:
        tqdm.write(report.summary(len(jobs), time.perf_counter() - begun))
    for failure in report.failures:
        tqdm.write(f"failed: {failure}", file=sys.stderr)
    return 130 if stopped else 1 if report.failures else 0


def _attempt(
    job: Job, taken: set[Path], models: Models, args: Namespace, device: torch.device, tick: Tick, report: Report
) -> None:
    """One picture; a failure goes into the report."""
    try:
        outcome = _fix(job, taken, models, args, device, tick)
    except _FAILURES as error:
        reason = str(error) or type(error).__name__
        named = reason.startswith(job.source.name)  # as those of `pictures.read` are
        report.failures.append(f"{job.source}{reason.removeprefix(job.source.name)}" if named else f"{job.source}: {reason}")
        return
    report.outcomes.append(outcome)
    if not args.quiet:
        tqdm.write("\n    ".join(outcome.lines))


def _fix(job: Job, taken: set[Path], models: Models, args: Namespace, device: torch.device, tick: Tick) -> Outcome:
    if not args.overwrite:
        pictures.refuse_existing(job.target)  # before the work, not after it
    picture = pictures.read(job.source)
    target = job.target
    if not job.forced and not pictures.holds(target, picture):
        target = target.with_suffix(".png")
        _take(target, taken)
    target.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "fidelity": args.fidelity,
        "match_style": args.match_style,
        "grey": args.grey,
        "batch": args.batch,
        "tick": tick,
    }
    notices, image = list(picture.notices), picture.image.to(device)
    if args.aligned:
        with torch.inference_mode():
            restored = fix_aligned(image, models.restorer, **options)
        alpha = picture.alpha
        if alpha is not None:
            alpha = F.interpolate(alpha, size=restored.shape[-2:], mode="bilinear", antialias=True)
        notices += pictures.write(replace(picture, image=restored, alpha=alpha), target, args.overwrite)
        return Outcome([f"{job.source}: one aligned face restored -> {target}", *notices], 1, 1)
    with torch.inference_mode():
        fixed = fix_faces(
            image,
            models.detector,
            models.restorer,
            options=DetectionOptions(args.detection_side, args.confidence, args.overlap, args.eye_distance),
            selection=CHOICES[args.choice],
            mask=args.mask,
            parser=models.parser,
            upscale=args.upscale,
            **options,
        )
    faces, skipped = fixed.aligned.faces, fixed.skipped
    if job.crops and faces:
        _write_crops(fixed.aligned, picture, job.crops, taken, args.overwrite)
    result = fixed.images
    if args.draw_boxes:
        scale = result.shape[-1] / image.shape[-1]
        result = preview(result, [_scaled(f, scale) for f in faces], [Skipped(_scaled(f, scale), why) for f, why in skipped])
    same_format = FORMATS.get(job.source.suffix.lower()) is FORMATS[target.suffix.lower()]
    untouched = same_format and result.shape == image.shape and torch.equal(result, image)
    if untouched:
        pictures.publish(job.source.read_bytes(), target, args.overwrite)  # not even stored anew, so nothing is lost
        notices = []
    else:
        alpha = None if picture.alpha is None else enlarge(picture.alpha, args.upscale)
        notices += pictures.write(replace(picture, image=result, alpha=alpha), target, args.overwrite)
    found = len(faces) + len(skipped)
    said = f"faces: {found} found, {len(faces)} restored" if found else "no face found"
    said += ", copied as it was" if untouched else ""
    reasons = [f"skipped the face at ({f.centre[0]:.0f}, {f.centre[1]:.0f}): {why}" for f, why in skipped]
    return Outcome([f"{job.source}: {said} -> {target}", *reasons, *notices], found, len(faces))


def _take(path: Path, taken: set[Path]) -> None:
    """Reserve the name of a file that was not planned: a ValueError when it is an input or another's result."""
    if path.resolve() in taken:
        raise ValueError(
            f"it would be written to {path}, which is an input or the result of another input. Add another --suffix."
        )
    taken.add(path.resolve())


def _scaled(face: Face, scale: float) -> Face:
    """A face of a picture in the pixels of the same picture `scale` times as large."""

    def at(value: float) -> float:
        return (value + 0.5) * scale - 0.5

    x0, y0, x1, y1 = map(at, face.box)
    eyes_nose_mouth = tuple((at(x), at(y)) for x, y in face.landmarks)
    return face._replace(box=(x0, y0, x1, y1), landmarks=eyes_nose_mouth)  # pyright: ignore[reportArgumentType]


def _write_crops(aligned: AlignedFaces, picture: Picture, beginning: Path, taken: set[Path], overwrite: bool) -> None:
    """Every face as cut out and as restored, numbered as in --draw-boxes, with the picture's colour profile."""
    beginning.parent.mkdir(parents=True, exist_ok=True)
    for number, (original, restored) in enumerate(zip(aligned.originals, aligned.crops, strict=True), 1):
        for name, crop in (("aligned", original), ("restored", restored)):
            path = beginning.with_name(f"{beginning.name}_{number:02d}_{name}.png")
            _take(path, taken)
            pictures.write(Picture(crop[None], bits=picture.bits, grey=picture.grey, icc=picture.icc), path, overwrite)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.empty(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch built without CUDA
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"the device {name} cannot be used ({reason}). Leave out --device, or use cpu.") from error


def _models(args: Namespace, device: torch.device) -> Models:
    wanted = {"restorer": args.model}
    if not args.aligned:
        wanted["detector"] = args.detector
        if MASKS[args.mask].needs_parser:
            wanted["parser"] = args.parser
    paths = obtain(list(wanted.values()), args.weights, args.download, args.quiet)
    loaded = {role: _load(path, role, device) for role, path in zip(wanted, paths, strict=True)}
    return Models(loaded["restorer"], loaded.get("detector"), loaded.get("parser"))


def _load(path: Path, role: str, device: torch.device) -> Any:
    network = checkpoints.load(path)
    task = getattr(network, "task", None)
    if network.role != role or task not in (None, "restoration"):
        kind = network.role if task is None else f"{network.role} for {task}"
        needed = "a restorer for restoration: choose codeformer" if role == "restorer" else f"a {role}: see `codeformer models`"
        raise ValueError(f"{path.name} is a {kind}. Needed is {needed}.")
    return network.to(device) if isinstance(network, torch.nn.Module) else network


@contextmanager
def _bars(jobs: int, quiet: bool) -> Iterator[tuple[Callable[[], object], Tick]]:
    """Two progress bars, one for pictures and one for the faces of a picture; on a terminal only."""
    hidden = quiet or None
    with (
        tqdm(total=jobs, unit="picture", disable=hidden, position=0) as over_pictures,
        tqdm(total=0, unit="face", disable=hidden, position=1, leave=False) as over_faces,
    ):

        def tick(done: int, total: int) -> None:
            if done == 0:
                over_faces.reset(total)
            over_faces.update(done - over_faces.n)

        yield over_pictures.update, tick
