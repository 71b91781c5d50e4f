"""Composite crops back into their images, each only inside the rectangle that it can touch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .align import compose, invert, reach, resize_map, shift, warp
from .faces import AlignedFaces
from .masks import Parser, mask_style, seam

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
    style = mask_style(mask, parser)
    batch, _, height, width = images.shape
    covered = images.new_zeros(batch, 1, height, width)
    if not len(aligned):
        return images, covered
    _check_images(images, aligned)
    masks = aligned.masks * style.make(aligned, parser)
    result = images.clone()
    scale_x, scale_y = width / aligned.image_size[1], height / aligned.image_size[0]
    to_image = compose(invert(aligned.affines), _landing(scale_x, scale_y))
    within = None if aligned.within is None else _fitted(aligned.within, batch, height, width)
    for face, crop, original, crop_mask, affine in zip(
        aligned.faces, aligned.crops, aligned.originals, masks, to_image, strict=True
    ):
        x0, y0, x1, y1 = reach(affine, aligned.side, aligned.side, (height, width))
        if x0 >= x1 or y0 >= y1:
            continue
        landing = compose(affine[None], shift(-x0, -y0))
        enlarged = compose(resize_map(aligned.side / crop.shape[-1]), landing)
        pasted = warp(crop[None], enlarged, y1 - y0, x1 - x0)[0]
        if keep_detail:
            pasted = _with_detail(pasted, images[face.image_index, :, y0:y1, x0:x1], original, landing)
        weight = _weight(crop_mask[None], landing, y1 - y0, x1 - x0, (scale_x * scale_y) ** 0.5 if style.seam else None)[0]
        if within is not None:
            weight = weight * within[face.image_index, :, y0:y1, x0:x1]
        region = result[face.image_index, :, y0:y1, x0:x1]
        region.copy_(torch.where(weight > 0, torch.lerp(region, pasted, weight), region))
        union = covered[face.image_index, :, y0:y1, x0:x1]
        torch.maximum(union, weight, out=union)
    return result, covered


def _with_detail(pasted: Tensor, region: Tensor, original: Tensor, landing: Tensor) -> Tensor:
    """A pasted crop with the fine detail of the picture where the network found nothing to correct.

    A crop shows a large face smaller than the picture does, so a plain paste makes the face softer than it came. What the crop
    could not show is the difference between the picture and its own crop, warped back. It is added where the network's
    correction is small, and fades out where the correction is large: what was damaged is not brought back.

    Args:
        pasted: (3, h, w) the warped crop.
        region: (3, h, w) the picture there.
        original: (3, S, S) the crop before restoration.
        landing: (1, 2, 3) crop pixels -> region pixels.
    """
    shown = warp(original[None], landing, *region.shape[-2:])[0]
    correction = (pasted - shown).abs().mean(0, keepdim=True)
    return (pasted + (region - shown) * torch.exp(-((correction / CORRECTED) ** 2))).clamp(0, 1)


def _fitted(area: Tensor, batch: int, height: int, width: int) -> Tensor:
    """An area (1 or B, 1, H, W) for a batch of (enlarged) images: (B, 1, height, width)."""
    if area.shape[-2:] != (height, width):
        area = F.interpolate(area, size=(height, width), mode="bilinear", antialias=area.shape[-2] > height)
    return area.expand(batch, -1, -1, -1)


def _landing(scale_x: float, scale_y: float) -> Tensor:
    """(1, 2, 3): where the pixels of the images that the faces were found in lie in the images that are pasted into.

    In an enlarged picture that is half a pixel further than pixel centres ask for, as in the reference (get_inverse_affine and
    paste_faces_to_input_image add half the scale), whose results are matched to 0.3 of 255 on average.
    """
    if scale_x * scale_y <= 1:
        return resize_map(scale_x, scale_y)
    return compose(resize_map(scale_x, scale_y), shift(0.5, 0.5))


def _weight(mask: Tensor, landing: Tensor, height: int, width: int, scale: float | None) -> Tensor:
    """A crop's mask (1, 1, S, S) in the picture, (1, 1, height, width); with a scale, under the reference's seam."""
    if scale is None:
        return warp(mask, landing, height, width)
    square = seam(warp(torch.ones_like(mask), landing, height, width), scale)
    if bool((mask == 1).all()):
        return square
    return torch.minimum(square, warp(mask, landing, height, width))


def _check_images(images: Tensor, aligned: AlignedFaces) -> None:
    height, width = aligned.image_size
    last = max(face.image_index for face in aligned.faces)
    if last >= images.shape[0]:
        raise ValueError(
            f"Found a face of picture {last + 1} and a batch of {images.shape[0]}: connect the pictures that the faces were "
            "found in."
        )
    scale_x, scale_y = images.shape[-1] / width, images.shape[-2] / height
    # An upscaler may round each side to a whole pixel.
    if abs(scale_x - scale_y) > 1.0 / min(height, width) + 1e-6:
        raise ValueError(
            f"Found pictures of {images.shape[-1]} x {images.shape[-2]}, but the faces were found in {width} x {height}: "
            "connect those pictures, or the same upscaled."
        )
