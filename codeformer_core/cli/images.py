"""`codeformer fix`, `colorize`, `inpaint` and `crop`: what each does with an image."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from .. import image_io, restoration
from ..align import align
from ..faces import AlignedFaces, Face, Skipped
from ..image_io import ImageFile
from ..imaging.resize import resize
from ..masks.holes import fade_edges, white_brush_mask
from ..pipeline import Fixed, apply_to_aligned, apply_to_faces, batch_size, detect, fix_aligned, fix_faces
from .arguments import Arguments
from .context import ImageResult, RunContext, read_mask
from .image_file import process_image, write_crops
from .plan import IMAGES, ImageTask
from .run import process_all


def run(arguments: Arguments) -> int:
    """The exit status, see `process_all`."""
    return process_all(arguments, IMAGES, _PROCESS[arguments.command])


def _fix(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed, list[str]]:
    rest = (context.restorer, context.options, context.extras(task, image), context.progress)
    return fix_aligned(image, *rest) if context.arguments.aligned else fix_faces(image, context.detector, *rest), []


def _colorize(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed, list[str]]:
    step = partial(restoration.colorize, keep_luminance=context.arguments.keep_luminance)
    return _apply(step, image, task, context), []


def _inpaint(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed | None, list[str]]:
    arguments = context.arguments
    mask = read_mask(arguments.holes, task, image)
    holes = white_brush_mask(image, arguments.tolerance / 255) if mask is None else resize(mask, *image.shape[-2:])
    holes = fade_edges(holes, arguments.hole_feather)
    hole = holes > 0.5
    if not hole.any():
        return None, [f"no hole: {'no white brush stroke was found' if mask is None else 'the mask has no white'}"]
    seen: list[Face] = []

    def step(aligned: AlignedFaces, **how: Any) -> AlignedFaces:
        seen.extend(aligned.faces)
        return restoration.inpaint(aligned, holes=holes, **how)

    fixed = _apply(step, image, task, context)
    filled = set(fixed.aligned.faces)
    untouched = [Skipped(face, "no hole touches it") for face in seen if face not in filled]
    left = float((hole & (fixed.mask < 0.5)).sum() / hole.sum())
    notices = [f"{left:.0%} of the holes are on no face and stay as they were"] if left >= 0.005 else []
    return fixed._replace(skipped=fixed.skipped + untouched), notices


def _apply(step: Callable[..., AlignedFaces], image: Tensor, task: ImageTask, context: RunContext) -> Fixed:
    """Apply `colorize` or `inpaint` to the faces of an image, or to the aligned face that it is."""
    restorer, extras = context.restorer, context.extras(task, image)
    options = replace(context.options, keep_detail=context.arguments.keep_luminance)
    step = partial(step, restorer=restorer, batch=batch_size(options, restorer), tick=context.progress("face"))
    if context.arguments.aligned:
        return apply_to_aligned(image, restorer.side, step, options, extras)
    return apply_to_faces(image, context.detector, restorer.side, step, options, extras)


def _crop(task: ImageTask, context: RunContext) -> ImageResult:
    image = image_io.read(task.source).image.to(context.device)
    faces, skipped = detect(image, context.detector, context.options, read_mask(context.arguments.inside, task, image))
    crops = align(image, faces, context.arguments.side).crops
    write_crops(crops, ImageFile(image), task.target.with_suffix(""), "", context)
    found = len(faces) + len(skipped)
    outcome = f"faces: {found} found, {len(faces)} cut out" if found else "no face found"
    return ImageResult([f"{task.source}: {outcome} -> {task.target.parent}"], found, len(faces))


_PROCESS = {
    "fix": partial(process_image, _fix),
    "colorize": partial(process_image, _colorize),
    "inpaint": partial(process_image, _inpaint),
    "crop": _crop,
}
