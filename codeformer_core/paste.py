"""Composite crops back into their images, each only inside the rectangle that it can touch."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .align import compose, invert, reach, resize_map, shift, warp
from .colour import in_range, luminance
from .edges import seam
from .faces import AlignedFaces
from .masks import mask_style
from .parts import Parser, fitted

#: The correction (of 1) at which a third of the picture's own detail is left: ten levels of 255, more than good photos' noise.
CORRECTED = 0.04


def paste(
    images: Tensor,
    aligned: AlignedFaces,
    mask: str = "square",
    parser: Parser | None = None,
    keep_detail: bool = False,
) -> tuple[Tensor, Tensor]:
    """Put the crops back where they were cut out.

    Args:
        images: (B, 3, H', W') RGB in [0, 1]: the images that the faces were found in, or the same upscaled.
        aligned: the faces; their masks are multiplied with the mask style.
        mask: a row of `masks.MASKS`.
        parser: needed by the styles that ask for one.
        keep_detail: see `_with_detail`: for faces that are larger in the picture than in the crop.

    Returns:
        The images (B, 3, H', W') and where they were changed (B, 1, H', W') in [0, 1]. Pixels whose mask is 0 are bit-identical
        to `images`, which are not modified.

    Raises:
        ValueError: unknown style, missing parser, or images of other proportions than the faces came from.
    """
    batch, _, height, width = images.shape
    changed = images.new_zeros(batch, 1, height, width)
    landings = _landings(aligned, batch, (height, width), mask, parser)
    result = images.clone() if len(aligned) else images
    for row, place, to_region, weight in landings:
        crop, region = aligned.crops[row : row + 1], result[place]
        pasted = _landed(crop, compose(resize_map(aligned.side / crop.shape[-1]), to_region), *region.shape[-2:])
        if keep_detail:
            pasted = _with_detail(pasted, images[place], aligned.originals[row], to_region)
        region.copy_(torch.where(weight > 0, torch.lerp(region, pasted, weight), region))
        torch.maximum(changed[place], weight, out=changed[place])
    return result, changed


def covered(
    aligned: AlignedFaces,
    batch: int,
    mask: str = "square",
    parser: Parser | None = None,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Where `paste` would change images: (B, 1, H', W') in [0, 1], all faces together, without pasting.

    Args:
        aligned, mask, parser: see `paste`.
        batch: B, how many images.
        size: (H', W') of the images; those that the faces were found in when none is given.
    """
    union = aligned.masks.new_zeros(batch, 1, *(size or aligned.image_size))
    for _, place, _, weight in _landings(aligned, batch, size or aligned.image_size, mask, parser):
        torch.maximum(union[place], weight, out=union[place])
    return union


class _Landing(NamedTuple):
    """One crop in its image: its row, the region (image, :, rows, columns), crop pixels -> region pixels, weight (1, h, w)."""

    row: int
    place: tuple[int, slice, slice, slice]
    to_region: Tensor
    weight: Tensor


def _landings(aligned: AlignedFaces, batch: int, size: tuple[int, int], mask: str, parser: Parser | None) -> Iterator[_Landing]:
    """The faces that can touch their images, one at a time."""
    style = mask_style(mask, parser)
    if not len(aligned):
        return
    _check_images(aligned, batch, size)
    masks = style.make(aligned, parser)
    scale_x, scale_y = size[1] / aligned.image_size[1], size[0] / aligned.image_size[0]
    scale = (scale_x * scale_y) ** 0.5 if style.seam else None
    within = None if aligned.within is None else fitted(aligned.within, *size)
    for row, affine in enumerate(compose(invert(aligned.affines), _resized(scale_x, scale_y))):
        x0, y0, x1, y1 = reach(affine, aligned.side, aligned.side, size)
        if x0 >= x1 or y0 >= y1:
            continue
        to_region = compose(affine[None], shift(-x0, -y0))
        weight = _weight(masks[row : row + 1], to_region, y1 - y0, x1 - x0, scale)
        own = aligned.masks[row : row + 1]
        if not bool((own == 1).all()):
            weight = weight * warp(own, to_region, y1 - y0, x1 - x0)
        index, rows, columns = aligned.faces[row].image_index, slice(y0, y1), slice(x0, x1)
        if within is not None:
            weight = weight * within[index if len(within) > 1 else 0, :, rows, columns]
        yield _Landing(row, (index, slice(None), rows, columns), to_region, weight[0])


def _landed(crop: Tensor, to_region: Tensor, height: int, width: int) -> Tensor:
    """A crop (1, 3, S, S) in its region: (3, height, width).

    It gets one more pixel on every side, or the black beyond it would be mixed into its border, where a mask need not be 0.
    """
    padded = F.pad(crop, (1, 1, 1, 1), mode="replicate")
    return warp(padded, compose(shift(-1, -1), to_region), height, width)[0]


def _with_detail(pasted: Tensor, region: Tensor, original: Tensor, landing: Tensor) -> Tensor:
    """A pasted crop with the fine detail of the picture where the network found nothing to correct.

    A crop shows a large face smaller than the picture does, so a plain paste makes the face softer than it came. What the crop
    could not show is the difference between the picture and its own crop, warped back. It is added where the network's
    correction of the light is small, and fades out where it is large: what was damaged is not brought back.

    Args:
        pasted: (3, h, w) the warped crop.
        region: (3, h, w) the picture there.
        original: (3, S, S) the crop before restoration.
        landing: (1, 2, 3) crop pixels -> region pixels.
    """
    shown = _landed(original[None], landing, *region.shape[-2:])
    correction = luminance((pasted - shown)[None])[0]
    return in_range((pasted + (region - shown) * torch.exp(-((correction / CORRECTED) ** 2)))[None])[0]


def _resized(scale_x: float, scale_y: float) -> Tensor:
    """(1, 2, 3): where the pixels of the images that the faces were found in lie in the images that are pasted into.

    In an enlarged picture that is half a pixel further than pixel centres ask for, as in the reference (get_inverse_affine and
    paste_faces_to_input_image add half the scale), whose results are matched to 0.3 of 255 on average.
    """
    if scale_x * scale_y <= 1:
        return resize_map(scale_x, scale_y)
    return compose(resize_map(scale_x, scale_y), shift(0.5, 0.5))


def _weight(mask: Tensor, landing: Tensor, height: int, width: int, scale: float | None) -> Tensor:
    """A style's mask (1, 1, S, S) in the picture, (1, 1, height, width); with a scale, under the reference's seam."""
    if scale is None:
        return warp(mask, landing, height, width)
    square = seam(warp(torch.ones_like(mask), landing, height, width), scale)
    if bool((mask == 1).all()):
        return square
    return torch.minimum(square, warp(mask, landing, height, width))


def _check_images(aligned: AlignedFaces, batch: int, size: tuple[int, int]) -> None:
    height, width = aligned.image_size
    last = max(face.image_index for face in aligned.faces)
    if last >= batch:
        raise ValueError(
            f"Found a face of picture {last + 1} and a batch of {batch}: connect the pictures that the faces were found in."
        )
    scale_x, scale_y = size[1] / width, size[0] / height
    # An upscaler may round each side to a whole pixel.
    if abs(scale_x - scale_y) > 1.0 / min(height, width) + 1e-6:
        raise ValueError(
            f"Found pictures of {size[1]} x {size[0]}, but the faces were found in {width} x {height}: "
            "connect those pictures, or the same upscaled."
        )
