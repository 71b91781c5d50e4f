"""What each command does with an image: `codeformer fix`, `colorize`, `inpaint` and `crop`."""

import sys
from dataclasses import replace
from functools import partial

from torch import Tensor

from .. import image_io
from ..align import align
from ..faces import AlignedFaces, Face, Skipped
from ..image_io import ImageFile
from ..image_io.encode import FORMATS
from ..imaging.resize import resize
from ..masks.holes import TOLERANCE, fade_edges, white_brush_mask
from ..pipeline import Fixed, apply_to_aligned, apply_to_faces, batch_size, detect, fix_aligned, fix_faces
from ..pipeline import Step as FaceStep
from ..restoration import colorize as colorize_faces
from ..restoration import inpaint as inpaint_faces
from .arguments import Arguments
from .context import ImageResult, RunContext
from .image_file import process_image
from .inputs import read_mask
from .plan import PICTURES, ImageTask
from .run import run


def fix(arguments: Arguments) -> int:
    """Restore faces; see `run.run` for the exit status of this and the other commands."""
    return run(arguments, PICTURES, "restoration", partial(process_image, _fix))


def colorize(arguments: Arguments) -> int:
    """Give colours to faces."""
    return run(arguments, PICTURES, "colorization", partial(process_image, _colorize, adds_colour=True))


def inpaint(arguments: Arguments) -> int:
    """Fill holes in faces."""
    return run(arguments, PICTURES, "inpainting", partial(process_image, _inpaint))


def crop(arguments: Arguments) -> int:
    """Cut out aligned faces, one file each: what the training learns from."""
    if arguments.out.suffix.lower() in FORMATS:
        message = f"codeformer crop: {arguments.out} is the name of a picture: name a folder for the faces."
        print(message, file=sys.stderr)
        return 2
    return run(replace(arguments, format="png"), PICTURES, None, _crop)


def _fix(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed, list[str]]:
    rest = (context.restorer, context.options, context.extras(task, image), context.progress)
    return fix_aligned(image, *rest) if context.arguments.aligned else fix_faces(image, context.detector, *rest), []


def _colorize(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed, list[str]]:
    keep_luminance = context.arguments.keep_luminance

    def step(aligned: AlignedFaces) -> AlignedFaces:
        batch = batch_size(context.options, context.restorer)
        return colorize_faces(
            aligned, context.restorer, keep_luminance=keep_luminance, batch=batch, tick=context.progress("face")
        )

    return _apply(step, image, task, context, keep_detail=keep_luminance), []


def _inpaint(image: Tensor, task: ImageTask, context: RunContext) -> tuple[Fixed | None, list[str]]:
    holes = _holes(image, task, context.arguments)
    hole = holes > 0.5
    if not hole.any():
        by_mask = context.arguments.holes is not None
        return None, ["no hole: the mask has no white" if by_mask else "no hole: no white brush stroke was found"]
    seen: list[Face] = []

    def step(aligned: AlignedFaces) -> AlignedFaces:
        seen.extend(aligned.faces)
        batch = batch_size(context.options, context.restorer)
        return inpaint_faces(aligned, context.restorer, holes, batch=batch, tick=context.progress("face"))

    fixed = _apply(step, image, task, context)
    filled = set(fixed.aligned.faces)
    untouched = [Skipped(face, "no hole touches it") for face in seen if face not in filled]
    left = float((hole & (fixed.mask < 0.5)).sum() / hole.sum())
    notices = [f"{left:.0%} of the holes are on no face and stay as they were"] if left >= 0.005 else []
    return fixed._replace(skipped=fixed.skipped + untouched), notices


def _holes(image: Tensor, task: ImageTask, arguments: Arguments) -> Tensor:
    """(1, 1, H, W) in [0, 1] over the image (1, 3, H, W), faded as the user asks."""
    mask = read_mask(arguments.holes, task, image)
    if mask is None:
        tolerance = arguments.tolerance / 255 if "tolerance" in arguments.typed else TOLERANCE
        return fade_edges(white_brush_mask(image, tolerance), arguments.hole_feather)
    return fade_edges(resize(mask, *image.shape[-2:]), arguments.hole_feather)


def _apply(step: FaceStep, image: Tensor, task: ImageTask, context: RunContext, keep_detail: bool = False) -> Fixed:
    """Do something with the faces of an image, or with the aligned face that it is."""
    side, options, extras = (
        context.restorer.side,
        replace(context.options, keep_detail=keep_detail),
        context.extras(task, image),
    )
    if context.arguments.aligned:
        return apply_to_aligned(image, side, step, options, extras)
    return apply_to_faces(image, context.detector, side, step, options, extras)


def _crop(task: ImageTask, context: RunContext) -> ImageResult:
    image = image_io.read(task.source).image.to(context.device)
    inside = read_mask(context.arguments.inside, task, image)
    faces, skipped = detect(image, context.detector, context.options, inside)
    crops = align(image, faces, context.arguments.side).crops
    task.target.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, len(crops) + 1):
        path = task.target.with_name(f"{task.target.stem}_{number:02d}.png")
        context.reserve(path)
        image_io.write(ImageFile(crops[number - 1 : number].cpu()), path, context.arguments.overwrite)
    found = len(faces) + len(skipped)
    outcome = f"faces: {found} found, {len(faces)} cut out" if found else "no face found"
    return ImageResult([f"{task.source}: {outcome} -> {task.target.parent}"], found, len(faces))
