"""One image of a command: read, worked on, written, and reported."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from .. import image_io
from ..detection.faces_json import to_json
from ..faces import Skipped
from ..image_io import ImageFile
from ..image_io.encode import FORMATS
from ..imaging.overlay import draw_faces
from ..imaging.resize import resize
from ..pipeline import Fixed
from ..runtime.atomic_write import refuse_existing, write_bytes
from ..selection.report import LINES
from .commands import COMMANDS
from .context import ImageResult, RunContext
from .plan import ImageTask

#: What a command does with an image (1, 3, H, W) RGB in [0, 1] on the device: the result, and sentences for the user. Without
#: a result there was nothing to do, and the first sentence says why.
Step = Callable[[Tensor, ImageTask, RunContext], tuple[Fixed | None, list[str]]]


def process_image(step: Step, task: ImageTask, context: RunContext) -> ImageResult:
    """Read, work, write. What it raises is about this image only."""
    arguments, target = context.arguments, task.target
    if not arguments.overwrite:
        refuse_existing(target)  # before the work, not after it
    source = image_io.read(task.source)
    if not task.forced and not image_io.can_hold(target, source):
        target = target.with_suffix(".png")
        context.reserve(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    image = source.image.to(context.device)
    fixed, lines = step(image, task, context)
    written, result, found, changed = source, image, 0, 0
    if fixed is None:
        outcome = lines.pop(0)
    else:
        result, changed, skipped = fixed.images, len(fixed.aligned), fixed.skipped
        found = changed + len(skipped)
        outcome = _outcome(fixed, image, context)
        lines += [f"skipped the face at ({f.centre[0]:.0f}, {f.centre[1]:.0f}): {why}" for f, why in skipped[:LINES]]
        lines += [f"and skipped {len(skipped) - LINES} more faces"] if len(skipped) > LINES else []
        if arguments.command == "colorize" and changed and source.grey:
            lines += ["the colour profile is one for grey images: left out"] if source.icc else []
            written = replace(source, grey=False, icc=None)
        if task.crops:
            write_crops(fixed.aligned.originals, source, task.crops, "_aligned", context)
            write_crops(fixed.aligned.crops, written, task.crops, f"_{COMMANDS[arguments.command].done}", context)
        if path := arguments.save_faces:
            context.reserve(path)
            write_bytes(path, to_json(fixed.aligned.faces, fixed.aligned.image_size).encode(), arguments.overwrite)
            lines.append(f"faces saved: {changed} -> {path}")
        if arguments.draw_boxes:
            scale = result.shape[-1] / image.shape[-1], result.shape[-2] / image.shape[-2]
            left_alone = [Skipped(face.scaled(*scale), why) for face, why in skipped]
            result = draw_faces(result, [face.scaled(*scale) for face in fixed.aligned.faces], left_alone)
    same_format = FORMATS.get(task.source.suffix.lower()) is FORMATS[target.suffix.lower()]
    if same_format and result.shape == image.shape and torch.equal(result, image):
        write_bytes(target, task.source.read_bytes(), arguments.overwrite)  # not even stored anew, so nothing is lost
        outcome += ", copied as it was"
    else:
        alpha = None if source.alpha is None else resize(source.alpha, *result.shape[-2:])
        notices = image_io.write(replace(written, image=result, alpha=alpha), target, arguments.overwrite)
        lines += [*source.notices, *notices]
    return ImageResult([f"{task.source}: {outcome} -> {target}", *lines], found, changed)


def _outcome(fixed: Fixed, image: Tensor, context: RunContext) -> str:
    """What happened to the faces of an image (1, 3, H, W)."""
    done, changed = COMMANDS[context.arguments.command].done, len(fixed.aligned)
    if not context.arguments.aligned:
        found = changed + len(fixed.skipped)
        return f"faces: {found} found, {changed} {done}" if found else "no face found"
    before, after = image.shape[-2:], fixed.images.shape[-2:]
    size = f", {before[1]} x {before[0]} is now {after[1]} x {after[0]}" if before != after else ""
    return (f"one aligned face {done}" if changed else f"not {done}") + size


def write_crops(crops: Tensor, like: ImageFile, prefix: Path, end: str, context: RunContext) -> None:
    """Crops (N, 3, S, S) as PNG files, numbered as in --draw-boxes, with the bits and colours of a file."""
    for number, crop in enumerate(crops, 1):
        path = prefix.with_name(f"{prefix.name}_{number:02d}{end}.png")
        context.reserve(path)
        crop = ImageFile(crop[None], bits=like.bits, grey=like.grey, icc=like.icc)
        image_io.write(crop, path, context.arguments.overwrite)
