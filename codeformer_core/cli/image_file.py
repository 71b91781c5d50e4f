"""One image of a command: read, worked on, written, and reported."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

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
from ..runtime.atomic_write import refuse_existing, write_bytes
from ..selection.report import LINES
from .context import ImageResult, RunContext
from .plan import ImageTask

#: What a command does with an image (1, 3, H, W) RGB in [0, 1] on the device: the result, and sentences for the user. Without
#: a result there was nothing to do, and the first sentence says why.
Step = Callable[[Tensor, ImageTask, RunContext], tuple[Fixed | None, list[str]]]


def process_image(step: Step, task: ImageTask, context: RunContext, adds_colour: bool = False) -> ImageResult:
    """Read, work, write. What it raises is about this image only.

    Args:
        adds_colour: a grey image has colours afterwards.
    """
    arguments = context.arguments
    if not arguments.overwrite:
        refuse_existing(task.target)  # before the work, not after it
    source = image_io.read(task.source)
    target = task.target
    if not task.forced and not image_io.can_hold(target, source):
        target = target.with_suffix(".png")
        context.reserve(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    image = source.image.to(context.device)
    fixed, lines = step(image, task, context)
    written, colour_notices = source, []
    if fixed is None:
        outcome, result, found, changed = lines.pop(0), image, 0, 0
    else:
        result, faces, skipped = fixed.images, fixed.aligned.faces, fixed.skipped
        found, changed = len(faces) + len(skipped), len(faces)
        if adds_colour and faces:
            written, colour_notices = _with_colours(source)
        lines += [f"skipped the face at ({f.centre[0]:.0f}, {f.centre[1]:.0f}): {why}" for f, why in skipped[:LINES]]
        lines += [f"and skipped {len(skipped) - LINES} more faces"] if len(skipped) > LINES else []
        lines += _write_beside(fixed, source, written, task, context)
        if arguments.draw_boxes:
            result = _draw(result, image, faces, skipped)
        outcome = _outcome(fixed, image, context)
    same_format = FORMATS.get(task.source.suffix.lower()) is FORMATS[target.suffix.lower()]
    if same_format and result.shape == image.shape and torch.equal(result, image):
        write_bytes(target, task.source.read_bytes(), arguments.overwrite)  # not even stored anew, so nothing is lost
        outcome += ", copied as it was"
    else:
        alpha = None if source.alpha is None else resize(source.alpha, *result.shape[-2:])
        notices = image_io.write(replace(written, image=result, alpha=alpha), target, arguments.overwrite)
        lines += [*source.notices, *colour_notices, *notices]
    return ImageResult([f"{task.source}: {outcome} -> {target}", *lines], found, changed)


def _outcome(fixed: Fixed, image: Tensor, context: RunContext) -> str:
    """What happened to the faces of an image (1, 3, H, W)."""
    done, changed = context.arguments.done, len(fixed.aligned)
    if not context.arguments.aligned:
        found = changed + len(fixed.skipped)
        return f"faces: {found} found, {changed} {done}" if found else "no face found"
    before, after = image.shape[-2:], fixed.images.shape[-2:]
    size = f", {before[1]} x {before[0]} is now {after[1]} x {after[0]}" if before != after else ""
    return (f"one aligned face {done}" if changed else f"not {done}") + size


def _with_colours(file: ImageFile) -> tuple[ImageFile, list[str]]:
    """An image whose file may hold colours, and what was lost thereby."""
    if not file.grey:
        return file, []
    lost = ["the colour profile is one for grey pictures: left out"] if file.icc else []
    return replace(file, grey=False, icc=None), lost


def _write_beside(fixed: Fixed, source: ImageFile, written: ImageFile, task: ImageTask, context: RunContext) -> list[str]:
    """The files that a user asked for beside the result: crops of the faces, and where they are."""
    aligned, arguments = fixed.aligned, context.arguments
    if task.crops:
        _write_crops("aligned", aligned.originals, source, task.crops, context)
        _write_crops(arguments.done, aligned.crops, written, task.crops, context)
    path = arguments.save_faces
    if path is None:
        return []
    context.reserve(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, to_json(aligned.faces, aligned.image_size).encode(), arguments.overwrite)
    return [f"faces saved: {len(aligned)} -> {path}"]


def _write_crops(name: str, crops: Tensor, like: ImageFile, prefix: Path, context: RunContext) -> None:
    """Crops (N, 3, S, S), numbered as in --draw-boxes and stored like a file."""
    for number in range(1, len(crops) + 1):
        path = prefix.with_name(f"{prefix.name}_{number:02d}_{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        context.reserve(path)
        crop = ImageFile(crops[number - 1 : number], bits=like.bits, grey=like.grey, icc=like.icc)
        image_io.write(crop, path, context.arguments.overwrite)


def _draw(result: Tensor, image: Tensor, faces: Sequence[Face], skipped: Sequence[Skipped]) -> Tensor:
    """A result (1, 3, H', W') with the faces that were found in an image (1, 3, H, W)."""
    across, down = result.shape[-1] / image.shape[-1], result.shape[-2] / image.shape[-2]
    left_alone = [Skipped(face.scaled(across, down), why) for face, why in skipped]
    return draw_faces(result, [face.scaled(across, down) for face in faces], left_alone)
