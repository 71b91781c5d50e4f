"""`codeformer fix`, `colorize`, `inpaint` and `crop`: an image is read, worked on, written and reported."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from .. import image_io
from ..align import align
from ..detection.faces_json import to_json
from ..faces import AlignedFaces, Detector, Face, Skipped
from ..image_io import ImageFile
from ..image_io.encode import FORMATS
from ..imaging.overlay import draw_faces
from ..imaging.resize import resize
from ..options import FixOptions
from ..pipeline import Fixed, detect_all, fix_aligned, fix_faces, select_faces
from ..recognition.likeness import describe_likeness
from ..runtime.addresses import make_folder, read_bytes
from ..runtime.atomic_write import refuse_existing, write_bytes
from ..selection.report import LINES
from .arguments import Arguments
from .colorize_inpaint import colorize, inpaint
from .commands import COMMANDS
from .contents import images_for
from .context import RunContext
from .gallery import thumbnails
from .masks import read_mask
from .networks import SavedFaces, load_networks
from .plan import ImageTask
from .report import FaceRecord, ImageResult, number_all
from .run import Load, process_all


def run(arguments: Arguments, load: Load = load_networks) -> int:
    """The exit status, see `process_all`."""
    return process_all(arguments, images_for(arguments.page), PROCESS[arguments.command], load)


def _fix(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed, list[str]]:
    extras, progress = context.extras(task, image), context.progress
    if context.arguments.aligned:
        return fix_aligned(image, context.restorer, context.options, extras, progress), []
    detector, options = _remembering(image, task, context)
    return fix_faces(image, detector, context.restorer, options, extras, progress), []


def _remembering(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Detector, FixOptions]:
    """The detector, and the options; of several fidelities only the first has the image searched."""
    if task.fidelity is None:
        return context.detector, context.options
    if task.source not in context.found:
        context.found.clear()
        context.found[task.source] = detect_all(image, context.detector, context.options, context.networks.people)
    faces = SavedFaces(context.found[task.source], (image.shape[2], image.shape[3]))
    known = replace(context.options.detection, rotated=False, tile=0)
    return faces, replace(context.options, detection=known)


def _crop(task: ImageTask, context: RunContext) -> ImageResult:
    arguments, options = context.arguments, context.options
    source, prefix = image_io.read(task.source, arguments.page or None, context.device).image, task.target.with_suffix("")
    found = detect_all(source, context.detector, options, context.networks.people)
    faces, skipped = select_faces(source, found, options, read_mask(arguments.inside, task, source))
    aligned = align(source, faces, arguments.side, options.sampling)
    records = face_records(aligned, skipped, found, context)
    numbers = [record.number for record in records if not record.left_alone]
    written = [_crop_path(prefix, number, "").is_file() for number in numbers]
    if written and all(written) and not arguments.overwrite:
        return ImageResult(prefix.parent, before=True)
    _write_crops(aligned.crops, numbers, ImageFile(source), prefix, "", context)
    line = f"{task.source}: {said_of_faces(len(found), len(faces), context)} -> {prefix.parent}"
    return ImageResult(prefix.parent, [line], len(found), len(faces), _size(source), records)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[3], image.shape[2]


def face_records(
    aligned: AlignedFaces, skipped: Sequence[Skipped], found: Sequence[Face], context: RunContext
) -> list[FaceRecord]:
    """The faces that were changed and then the others, with their numbers among all that were found."""
    faces = [*((face, "") for face in aligned.faces), *skipped]
    known = [face for face, _ in faces]
    numbers = number_all(known, found or known, aligned.image_size, context.arguments.options.selection.order)
    records = [FaceRecord(number, face, why) for number, (face, why) in zip(numbers, faces, strict=True)]
    measured = zip(records, aligned.likeness, strict=False)  # those that were changed come first
    return [record._replace(likeness=likeness) for record, likeness in measured] + records[len(aligned.likeness) :]


def process_image(step: Callable[..., tuple[Fixed | None, list[str]]], task: ImageTask, context: RunContext) -> ImageResult:
    """Read, work, write.

    Args:
        step: (image (1, 3, H, W) RGB in [0, 1] on the device, task, context) -> the result, and sentences for the user.
            Without a result there was nothing to do, and the first sentence says why.
    """
    arguments, target = context.arguments, task.target
    source = image_io.read(task.source, arguments.page or None, context.device)
    if not task.forced and not image_io.can_hold(target, source):
        target = context.free_name(target.with_suffix(".png"), task.source)
    if not arguments.overwrite:
        if target.is_file():  # in the format that the image needs
            return ImageResult(target, before=True)
        refuse_existing(target)  # a folder, before the work and not after it
    make_folder(target.parent)
    image = source.image
    fixed, lines = step(image, task, context)
    written, result, records, changed = source, image, [], 0
    if fixed is None:
        outcome = lines.pop(0)
    else:
        result, changed = fixed.images, len(fixed.aligned)
        records = face_records(fixed.aligned, fixed.skipped, fixed.found, context)
        outcome = said_of_faces(len(records), changed, context)
        if arguments.aligned and result.shape != image.shape:
            outcome += f", {image.shape[3]} x {image.shape[2]} is now {result.shape[3]} x {result.shape[2]}"
        lines += measured(records[:changed]) + left_alone(records[changed:])
        if arguments.command == "colorize" and (changed or context.background) and source.grey:
            lines += ["the colour profile is one for grey images: left out"] if source.icc else []
            written = replace(source, grey=False, icc=None)
        lines += _write_beside(fixed, records, source, written, task, context)
        if arguments.draw_boxes:
            result = _with_boxes(result, image, records, changed)
    same_format = FORMATS.get(task.source.suffix.lower()) is FORMATS[target.suffix.lower()]
    alpha = None if source.alpha is None else resize(source.alpha, *result.shape[-2:])
    if arguments.compare:
        _write_compared(image, replace(written, image=result, alpha=alpha), target, context)
    if same_format and not arguments.page and result.shape == image.shape and torch.equal(result, image):
        write_bytes(target, read_bytes(task.source), arguments.overwrite)  # not even stored anew, so nothing is lost
        outcome += ", copied as it was"
    else:
        notices = image_io.write(replace(written, image=result, alpha=alpha), target, arguments.overwrite)
        lines += [*source.notices, *notices]
    shown = thumbnails(image, result) if arguments.gallery else None
    said = [f"{task.source}: {outcome} -> {target}", *lines]
    return ImageResult(target, said, len(records), changed, _size(image), records, shown)


def measured(records: list[FaceRecord]) -> list[str]:
    """How far faces are from the person who is asked for, and restored ones from themselves; of many the first ones."""
    lines = []
    for number, face, _, likeness in sorted(records)[:LINES]:
        said = [] if face.distance is None else [f"{face.distance:.2f} from the person asked for"]
        said += [] if likeness is None else [f"restored {describe_likeness(likeness)}"]
        lines += [f"face {number}: {', '.join(said)}"] if said else []
    return lines


def left_alone(records: list[FaceRecord]) -> list[str]:
    """A sentence for each face that was left alone; of many for the first ones."""
    lines = [
        f"skipped face {number} at ({face.centre[0]:.0f}, {face.centre[1]:.0f}): {why}"
        for number, face, why, _ in sorted(records)[:LINES]
    ]
    return [*lines, f"and skipped {len(records) - LINES} more faces"] if len(records) > LINES else lines


def _with_boxes(result: Tensor, image: Tensor, records: list[FaceRecord], changed: int) -> Tensor:
    """A result with the faces that were found in the image drawn in; the first so many were changed."""
    scale = result.shape[3] / image.shape[3], result.shape[2] / image.shape[2]
    faces = [record.face.scaled(*scale) for record in records]
    left_alone = [Skipped(face, record.left_alone) for face, record in zip(faces, records, strict=True)][changed:]
    return draw_faces(result, faces[:changed], left_alone, [record.number for record in records])


def _write_compared(before: Tensor, after: ImageFile, target: Path, context: RunContext) -> None:
    """Write an image before and after side by side, in the size and the format of the result."""
    path = target.with_name(f"{target.stem}_compare{target.suffix}")
    context.reserve(path)
    sides = [resize(before, *after.image.shape[-2:]), after.image]
    alpha = None if after.alpha is None else torch.cat([after.alpha] * 2, -1)
    image_io.write(replace(after, image=torch.cat(sides, -1), alpha=alpha), path, context.arguments.overwrite)


def said_of_faces(found: int, changed: int, context: RunContext) -> str:
    """How many faces were found, and how many were worked on."""
    done = COMMANDS[context.arguments.command].done
    if context.arguments.aligned:
        return f"one aligned face {done}" if changed else f"not {done}"
    return f"faces: {found} found, {changed} {done}" if found else "no face found"


def _write_beside(
    fixed: Fixed, records: list[FaceRecord], source: ImageFile, written: ImageFile, task: ImageTask, context: RunContext
) -> list[str]:
    """The files that are asked for beside the result: crops of the faces, and where they are."""
    aligned, path = fixed.aligned, context.faces_file(task)
    if task.crops:
        numbers = [record.number for record in records[: len(aligned)]]
        _write_crops(aligned.originals, numbers, source, task.crops, "_aligned", context)
        _write_crops(aligned.crops, numbers, written, task.crops, f"_{COMMANDS[context.arguments.command].done}", context)
    if path is None:
        return []
    context.reserve(path)
    write_bytes(path, to_json(aligned.faces, aligned.image_size).encode(), context.arguments.overwrite)
    return [f"faces saved: {len(aligned)} -> {path}"]


def _crop_path(prefix: Path, number: int, end: str) -> Path:
    return prefix.with_name(f"{prefix.name}_{number:02d}{end}.png")


def _write_crops(crops: Tensor, numbers: list[int], like: ImageFile, prefix: Path, end: str, context: RunContext) -> None:
    """Crops (N, 3, S, S) as PNG files with the numbers of their faces, and with the bits and colours of a file."""
    for number, crop in zip(numbers, crops, strict=True):
        path = _crop_path(prefix, number, end)
        context.reserve(path)
        crop = ImageFile(crop[None], bits=like.bits, grey=like.grey, icc=like.icc)
        image_io.write(crop, path, context.arguments.overwrite)


#: Command -> what it does with an image.
PROCESS = {
    "fix": partial(process_image, _fix),
    "colorize": partial(process_image, colorize),
    "inpaint": partial(process_image, inpaint),
    "crop": _crop,
}
