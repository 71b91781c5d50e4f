"""`codeformer colorize` and `inpaint`: the faces of an image, and with a network for the background the whole image."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from .. import restoration
from ..background.colouring import blend_hues, colour_images
from ..background.filling import fill_holes
from ..faces import AlignedFaces, Face, Skipped
from ..imaging.resize import resize
from ..masks.holes import fade_edges, white_brush_mask
from ..pipeline import Fixed, apply_to_aligned, apply_to_faces, batch_size
from .context import RunContext
from .masks import read_mask
from .plan import ImageTask


def colorize(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed, list[str]]:
    """The faces of an image with colours, and with a background colorizer the whole image; see `images.process_image`."""
    keep_luminance, network = context.arguments.keep_luminance, context.background
    if network is None:
        return _apply(partial(restoration.colorize, keep_luminance=keep_luminance), image, task, context), []
    photo = colour_images(image, network, context.progress("image"))

    def step(aligned: AlignedFaces, **how: Any) -> AlignedFaces:
        coloured = restoration.colorize(aligned, keep_luminance=keep_luminance, **how)
        return blend_hues(coloured, photo, keep_luminance)

    return _apply(step, image, task, context, photo), ["the whole image has colours now"]


def inpaint(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed | None, list[str]]:
    """The faces of an image without holes, with a background inpainter all of it; see `images.process_image`."""
    arguments = context.arguments
    mask = read_mask(arguments.holes, task, image)
    holes = white_brush_mask(image, arguments.tolerance / 255) if mask is None else resize(mask, *image.shape[-2:])
    holes = fade_edges(holes, arguments.hole_feather)
    hole = holes > 0.5
    if not hole.any():
        return None, [f"no hole: {'no white brush stroke was found' if mask is None else 'the mask has no white'}"]
    if context.background:  # first, so that the faces are pasted into what is filled
        image = fill_holes(image, holes, context.background, context.progress("window"))
    seen: list[Face] = []

    def step(aligned: AlignedFaces, **how: Any) -> AlignedFaces:
        seen.extend(aligned.faces)
        return restoration.inpaint(aligned, holes=holes, **how)

    fixed = _apply(step, image, task, context)
    filled = set(fixed.aligned.faces)
    untouched = [Skipped(face, "no hole touches it") for face in seen if face not in filled]
    left = float((hole & (fixed.mask < 0.5)).sum() / hole.sum())
    became = "were filled by the background inpainter" if context.background else "stay as they were"
    notices = [f"{left:.0%} of the holes are on no face and {became}"] if left >= 0.005 else []
    return fixed._replace(skipped=fixed.skipped + untouched), notices


def _apply(
    step: Callable[..., AlignedFaces], image: Tensor, task: ImageTask, context: RunContext, background: Tensor | None = None
) -> Fixed:
    """Apply `colorize` or `inpaint` to the faces of an image, or to the aligned face that it is; see `apply_to_faces`."""
    restorer, extras = context.restorer, context.extras(task, image)
    options = replace(context.options, keep_detail="on" if context.arguments.keep_luminance else "off")
    step = partial(step, restorer=restorer, batch=batch_size(options, restorer), tick=context.progress("face"))
    if context.arguments.aligned:
        return apply_to_aligned(image, restorer.side, step, options, extras)
    return apply_to_faces(image, context.detector, restorer.side, step, options, extras, background)
