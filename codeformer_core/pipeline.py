"""The order of the steps: detect, choose, align, restore, paste. The first file to read."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .align import align, resize_map, template
from .colour import is_grey, matched
from .faces import AlignedFaces, DetectionOptions, Detector, Face, Skipped
from .masks import mask_style
from .parts import Parser, fitted
from .paste import paste
from .progress import Tick, no_tick
from .selection import CHOICES, Selection, select
from .sharpness import sharpness
from .steps import Restorer, restore, sized


class Fixed(NamedTuple):
    """What `fix_faces` gives.

    Attributes:
        images: (B, 3, H', W') RGB in [0, 1].
        mask: (B, 1, H', W') in [0, 1], where they were changed.
        aligned: the faces that were restored.
        skipped: the faces that were found and left alone, and why.
    """

    images: Tensor
    mask: Tensor
    aligned: AlignedFaces
    skipped: list[Skipped]


def detect(
    images: Tensor,
    detector: Detector,
    options: DetectionOptions = DetectionOptions(),
    selection: Selection = CHOICES["all"],
    area: Tensor | None = None,
) -> tuple[list[Face], list[Skipped]]:
    """The faces of images (B, 3, H, W) RGB in [0, 1] that are worked on, and those that are not and why.

    Args:
        selection: which of the faces that are found.
        area: (1 or B, 1, h, w) in [0, 1], stretched over the images: only faces inside, see `Selection.inside`.
    """
    height, width = images.shape[-2:]
    faces = detector.detect(images, options)
    wide = replace(selection, eye_distance=max(selection.eye_distance, options.eye_distance))
    measured = sharpness(images, faces) if selection.sharpness else None
    return select(faces, (height, width), wide, mask=area, sharpness=measured)


def fix_faces(
    images: Tensor,
    detector: Detector,
    restorer: Restorer,
    *,
    fidelity: float | Tensor = 0.5,
    options: DetectionOptions = DetectionOptions(),
    selection: Selection = CHOICES["all"],
    area: Tensor | None = None,
    match_style: bool = True,
    grey: str = "auto",
    colour: str = "as restored",
    mask: str = "square",
    parser: Parser | None = None,
    upscale: float = 1.0,
    background: Tensor | None = None,
    upscale_faces: Callable[[Tensor], Tensor] | None = None,
    keep_detail: bool = False,
    batch: int = 1,
    tick: Tick = no_tick,
) -> Fixed:
    """Find the faces of images, restore them and paste them back.

    Args:
        images: (B, 3, H, W) RGB in [0, 1]; not modified.
        fidelity, match_style, grey, batch, tick: see `restore`.
        colour: a row of `colour.COLOURS`: how the restored crops follow the colours of the originals.
        upscale: how many times larger the result is; the background is resized (bilinear, as in the reference).
        background: (B, 3, H', W') the images already enlarged in another way, which `upscale` then does not do.
        upscale_faces: enlarges restored crops (N, 3, S, S), so that faces stay sharp in an enlarged picture.
        options, selection, area, mask, parser, keep_detail: see `on_faces`.

    Returns:
        See `Fixed`. Pixels outside the mask are those of `images` (resized); without a face the images come back as they are.
    """

    def step(aligned: AlignedFaces) -> AlignedFaces:
        done = restore(aligned, restorer, fidelity, match_style=match_style, grey=grey, batch=batch, tick=tick)
        return finished(done, colour, upscale_faces)

    return on_faces(
        images,
        detector,
        restorer.side,
        step,
        options=options,
        selection=selection,
        area=area,
        mask=mask,
        parser=parser,
        background=enlarge(images, upscale) if background is None else background,
        keep_detail=keep_detail,
    )


def finished(aligned: AlignedFaces, colour: str, upscale_faces: Callable[[Tensor], Tensor] | None) -> AlignedFaces:
    """Restored faces as they are pasted; `colour` and `upscale_faces` as in `fix_faces`."""
    done = aligned.with_crops(matched(aligned.crops, aligned.originals, colour))
    return done.with_crops(upscale_faces(done.crops)) if upscale_faces and len(done) else done


def on_faces(
    images: Tensor,
    detector: Detector,
    side: int,
    step: Callable[[AlignedFaces], AlignedFaces],
    *,
    options: DetectionOptions = DetectionOptions(),
    selection: Selection = CHOICES["all"],
    area: Tensor | None = None,
    mask: str = "square",
    parser: Parser | None = None,
    background: Tensor | None = None,
    keep_detail: bool = False,
) -> Fixed:
    """Do something with the faces of whole images: `step` takes them aligned and gives them changed (or fewer).

    Args:
        images: (B, 3, H, W) RGB in [0, 1]; not modified.
        side: S, the side of the crops.
        step: such as `restore`, `colorize` or `inpaint` with the rest of their arguments.
        options, selection, area: see `detect`.
        mask, parser, keep_detail: see `paste.paste`.
        background: what is pasted into, when it is not the images themselves.
    """
    mask_style(mask, parser)  # a wrong choice raises before the work, not after it
    faces, skipped = detect(images, detector, options, selection, area)
    aligned = step(align(images, faces, side))
    pasted, changed = paste(images if background is None else background, aligned, mask, parser, keep_detail)
    return Fixed(pasted, changed, aligned, skipped)


def enlarge(images: Tensor, upscale: float) -> Tensor:
    """Images (B, C, H, W) resized to (B, C, H * upscale, W * upscale), sizes rounded down; the same ones at 1."""
    if upscale <= 0:
        raise ValueError(f"Found an upscale of {upscale}. Expected a number above 0: 1 keeps the size, 2 doubles it.")
    height, width = int(images.shape[-2] * upscale), int(images.shape[-1] * upscale)
    if (height, width) == tuple(images.shape[-2:]):
        return images
    size = max(1, height), max(1, width)
    if upscale < 1:
        return fitted(images, *size)
    return F.interpolate(images, size=size, mode="bilinear")


def on_aligned(images: Tensor, side: int, step: Callable[[AlignedFaces], AlignedFaces]) -> Fixed:
    """Do something with pictures that are aligned faces already: as `on_faces`, without finding and pasting.

    Args:
        images: (B, 3, H, W) RGB in [0, 1], each one face in the FFHQ pose, of any size; not modified.
        side, step: see `on_faces`.

    Returns:
        See `Fixed`. The images have the size of the crops that `step` gives; but when it keeps them to an area of the picture,
        as `inpaint` and `limits.occlude` do, they have their own size, and what is outside the area is bit-identical.
    """
    aligned = step(whole_pictures(images, side))
    size = aligned.crops.shape[-2:] if aligned.within is None else images.shape[-2:]
    result = sized(images, *size).clone()
    changed = result.new_zeros(len(images), 1, *size)
    for row, face in enumerate(aligned.faces):
        weight = sized(aligned.masks[row : row + 1], *size)[0]
        if aligned.within is not None:
            weight = weight * aligned.within[face.image_index if len(aligned.within) > 1 else 0]
        image = result[face.image_index]
        mixed = torch.lerp(image, sized(aligned.crops[row : row + 1], *size)[0], weight)
        image.copy_(torch.where(weight > 0, mixed, image))
        changed[face.image_index] = weight
    return Fixed(result, changed, aligned, [])


def whole_pictures(images: Tensor, side: int) -> AlignedFaces:
    """Pictures that are aligned faces already, (B, 3, H, W) RGB in [0, 1], as faces with crops of `side` pixels."""
    height, width = images.shape[-2:]
    crops = sized(images, side)
    return AlignedFaces(
        faces=tuple(_whole_picture(index, height, width) for index in range(len(images))),
        originals=crops,
        crops=crops,
        affines=resize_map(side / width, side / height).repeat(len(images), 1, 1),
        masks=crops.new_ones(len(images), 1, side, side),
        grey=is_grey(images),
        image_size=(height, width),
    )


def _whole_picture(index: int, height: int, width: int) -> Face:
    landmarks = tuple((x * width / height, y) for x, y in template(height).tolist())
    return Face(index, (0.0, 0.0, float(width), float(height)), landmarks, 1.0)


def fix_aligned(
    images: Tensor,
    restorer: Restorer,
    *,
    fidelity: float | Tensor = 0.5,
    match_style: bool = True,
    grey: str = "auto",
    batch: int = 1,
    tick: Tick = no_tick,
) -> Tensor:
    """Restore pictures (B, 3, H, W) that are aligned faces already: (B, 3, S, S), S being the restorer's side."""

    def step(aligned: AlignedFaces) -> AlignedFaces:
        return restore(aligned, restorer, fidelity, match_style=match_style, grey=grey, batch=batch, tick=tick)

    return on_aligned(images, restorer.side, step).images
