"""One picture of a command: read, worked on, written, and what is said about it."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .. import image_io
from ..detection.faces_json import to_json
from ..faces import Face, Skipped
from ..image_io import ImageFile
from ..image_io.encode import FORMATS
from ..imaging.overlay import draw_faces
from ..imaging.resize import resize
from ..pipeline import Fixed
from ..runtime.progress import Tick
from ..selection.report import LINES
from .jobs import Job
from .networks import Networks

#: The unit of a progress bar ("face", "tile") -> its tick.
Watch = Callable[[str], Tick]


class Tools(NamedTuple):
    """What a command works with: its options, the device, the networks and the progress bars."""

    args: Namespace
    device: torch.device
    networks: Networks
    watch: Watch


class Piece(NamedTuple):
    """One picture at hand.

    Attributes:
        image: (1, 3, H, W) RGB in [0, 1] on the device.
        job: which files it is read from and written to.
    """

    args: Namespace
    networks: Networks
    watch: Watch
    image: Tensor
    job: Job


class Worked(NamedTuple):
    """What a command made of a picture.

    Attributes:
        fixed: the pixels and the faces; None when there was nothing to do.
        notices: sentences for the user; without pixels the first says why.
        coloured: a grey picture has colours now.
    """

    fixed: Fixed | None
    notices: Sequence[str] = ()
    coloured: bool = False


class Outcome(NamedTuple):
    """What became of one picture: sentences for the user, and how many faces were found and changed."""

    lines: list[str]
    found: int
    changed: int


class Files(NamedTuple):
    """The names of files that are in use, and whether existing ones may be replaced."""

    taken: set[Path]
    overwrite: bool

    def take(self, path: Path) -> None:
        """Reserve the name of a file that was not planned: a ValueError when it is an input or another's result."""
        if path.resolve() in self.taken:
            raise ValueError(
                f"it would be written to {path}, which is an input or the result of another input. Add another --suffix."
            )
        self.taken.add(path.resolve())


def do(job: Job, work: Callable[[Piece], Worked], tools: Tools, files: Files) -> Outcome:
    """Read, work, write. What it raises is about this picture only."""
    args = tools.args
    if not files.overwrite:
        image_io.refuse_existing(job.target)  # before the work, not after it
    picture = image_io.read(job.source)
    target = job.target
    if not job.forced and not image_io.holds(target, picture):
        target = target.with_suffix(".png")
        files.take(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    image = picture.image.to(tools.device)
    worked = work(Piece(args, tools.networks, tools.watch, image, job))
    result, faces, skipped = image, (), []
    lines = list(worked.notices)
    if worked.fixed:
        result, faces, skipped = worked.fixed.images, worked.fixed.aligned.faces, worked.fixed.skipped
        lines += [f"skipped the face at ({f.centre[0]:.0f}, {f.centre[1]:.0f}): {why}" for f, why in skipped[:LINES]]
        lines += [f"and skipped {len(skipped) - LINES} more faces"] if len(skipped) > LINES else []
        lines += _write_beside(worked, picture, job, args, files)
        if args.draw_boxes:
            result = _drawn(result, image, faces, skipped)
    same_format = FORMATS.get(job.source.suffix.lower()) is FORMATS[target.suffix.lower()]
    untouched = same_format and result.shape == image.shape and torch.equal(result, image)
    if untouched:
        image_io.publish(job.source.read_bytes(), target, files.overwrite)  # not even stored anew, so nothing is lost
    else:
        finished, notices = _in_colour(picture) if worked.coloured else (picture, [])
        alpha = None if picture.alpha is None else resize(picture.alpha, *result.shape[-2:])
        notices += image_io.write(replace(finished, image=result, alpha=alpha), target, files.overwrite)
        lines += [*picture.notices, *notices]
    found = len(faces) + len(skipped)
    if args.aligned:
        said = f"one aligned face {args.done}" if faces else f"not {args.done}"
        before, after = image.shape[-2:], result.shape[-2:]
        said += f", {before[1]} x {before[0]} is now {after[1]} x {after[0]}" if before != after else ""
    else:
        said = f"faces: {found} found, {len(faces)} {args.done}" if found else "no face found"
    if worked.fixed is None:
        said = lines.pop(0)
    said += ", copied as it was" if untouched else ""
    return Outcome([f"{job.source}: {said} -> {target}", *lines], found, len(faces))


def _in_colour(picture: ImageFile) -> tuple[ImageFile, list[str]]:
    """A picture whose file may hold colours, and what was lost thereby."""
    if not picture.grey:
        return picture, []
    lost = ["the colour profile is one for grey pictures: left out"] if picture.icc else []
    return replace(picture, grey=False, icc=None), lost


def _write_beside(worked: Worked, picture: ImageFile, job: Job, args: Namespace, files: Files) -> list[str]:
    """The files that a user asked for beside the result: crops of the faces, and where they are."""
    assert worked.fixed is not None  # the caller has looked
    aligned = worked.fixed.aligned
    if job.crops and aligned.faces:
        plain = ImageFile(picture.image, bits=picture.bits, grey=picture.grey, icc=picture.icc)
        changed = _in_colour(plain)[0] if worked.coloured else plain
        _write_crops({"aligned": (aligned.originals, plain), args.done: (aligned.crops, changed)}, job.crops, files)
    path = args.save_faces
    if path is None:
        return []
    files.take(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image_io.publish(to_json(aligned.faces, aligned.image_size).encode(), path, files.overwrite)
    return [f"faces saved: {len(aligned)} -> {path}"]


def _write_crops(kinds: dict[str, tuple[Tensor, ImageFile]], beginning: Path, files: Files) -> None:
    """Every crop (N, 3, S, S) of every kind, numbered as in --draw-boxes; `Picture` says how it is stored."""
    beginning.parent.mkdir(parents=True, exist_ok=True)
    for name, (crops, kind) in kinds.items():
        for number in range(1, len(crops) + 1):
            path = beginning.with_name(f"{beginning.name}_{number:02d}_{name}.png")
            files.take(path)
            image_io.write(replace(kind, image=crops[number - 1 : number]), path, files.overwrite)


def _drawn(result: Tensor, image: Tensor, faces: Sequence[Face], skipped: Sequence[Skipped]) -> Tensor:
    """A result (1, 3, H', W') with the faces that were found in an image (1, 3, H, W)."""
    across, down = result.shape[-1] / image.shape[-1], result.shape[-2] / image.shape[-2]
    left_alone = [Skipped(face.scaled(across, down), why) for face, why in skipped]
    return draw_faces(result, [face.scaled(across, down) for face in faces], left_alone)
