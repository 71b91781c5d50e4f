"""Paste crops back: inverse warp and alpha compositing, each crop only inside the rectangle that it can change."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from .faces import AlignedFaces, check_images
from .imaging import buffers
from .imaging.affine import compose, invert, resize_affine, shrink_factor, translation, warp, warped_bounds
from .imaging.buffers import strips
from .imaging.colour import clamp_to_gamut, luminance
from .imaging.grain import lacking_grain, with_grain
from .imaging.morphology import seam_mask
from .imaging.resize import resize
from .masks.parsing import Parser
from .masks.styles import automatic_style, get_mask_style
from .options.fix import switch_word
from .runtime.finite import check_finite, check_pixels, extremes
from .runtime.prefetch import prefetch

#: The correction of luminance (of 1) at which a third (1/e) of the image's own detail is kept: ten levels of 255, above the
#: noise of good photographs.
CORRECTION_SCALE = 0.04


def paste(
    images: Tensor,
    aligned: AlignedFaces,
    mask: str = "auto",
    parser: Parser | None = None,
    keep_detail: str | bool = "off",
    grain: int | None = None,
    *,
    check: bool = True,
) -> tuple[Tensor, Tensor]:
    """Warp the crops back into their images and composite them under their masks.

    Args:
        images: (B, 3, H', W') RGB in [0, 1]: the images that the faces were aligned from, or the same upscaled.
        aligned: the faces; their masks are multiplied with the mask style.
        mask: "auto" or a row of `masks.styles.MASKS`.
        parser: needed by the styles that ask for one.
        keep_detail: see `with_detail` and `FixOptions.keep_detail`.
        grain: the seed of the noise that faces get which have less than their image, see `imaging.grain`; None adds none.
        check: when everything is pasted, look for values that are not finite; a GPU is waited for. False leaves that to the
            caller, see `check_faces`.

    Returns:
        The images (B, 3, H', W') and where they were changed (B, 1, H', W') in [0, 1], in the dtype of `images`, which are not
        modified. Pixels whose mask is 0 are bit-identical to them.

    Raises:
        ValueError: unknown style, missing parser, or images of other proportions than the faces came from.
        RuntimeError: crops or masks with values that are not finite.
    """
    batch, _, height, width = images.shape
    originals, crops, masks = (tensor.to(images.dtype) for tensor in (aligned.originals, aligned.crops, aligned.masks))
    aligned = replace(aligned, originals=originals, crops=crops, masks=masks)  # a step before may have another dtype
    detailed = keeps_detail(aligned, keep_detail)
    changed = buffers.zeros(images, batch, 1, height, width)
    placements = _placements(aligned, batch, (height, width), mask, parser)
    if not len(aligned):
        return images, changed
    # Half of the time goes into the weights, which OpenCV computes single-threaded: the next face's are prefetched. Not on a
    # GPU, whose kernels must be launched on the caller's stream.
    with prefetch(placements, 1) if images.device.type == "cpu" else nullcontext(placements) as ready:
        result = buffers.empty(images, *images.shape).copy_(images)
        noise = None if grain is None else torch.Generator().manual_seed(grain)
        for row, place, to_region, weight in ready:
            region = result[place]
            pasted = _warp_crop(aligned.crops[row], aligned, to_region, region)
            if detailed[row]:
                pasted = with_detail(pasted, images[place], _warp_crop(aligned.originals[row], aligned, to_region, region))
            lacking = lacking_grain(images[place], pasted, weight, noise)
            for rows in strips(region):
                part, share = region[:, rows], weight[:, rows]
                added = None if lacking is None else lacking[:, rows]
                mixed = with_grain(torch.lerp(part, pasted[:, rows], share), added, share)
                torch.where(share > 0, mixed, part, out=part)
            _into(changed[place], weight, torch.maximum)
    if check:
        check_faces(aligned, find_extremes(aligned))
    return result, changed


def find_extremes(aligned: AlignedFaces) -> Tensor:
    """What `check_faces` looks at, on the device of the faces: of crops and masks the least and the largest value."""
    return extremes(aligned.crops, *_limits(aligned))


def check_faces(aligned: AlignedFaces, found: Tensor) -> None:
    """The RuntimeError of `paste` unless the extremes of the faces are finite."""
    if bool(found.isfinite().all()):
        return
    if aligned.unchecked is not None:
        check_finite(aligned.crops, aligned.unchecked, aligned.originals, "face")
    check_pixels(aligned.crops, "face")
    for masks in _limits(aligned):
        check_pixels(masks, "mask")


def _limits(aligned: AlignedFaces) -> list[Tensor]:
    return [aligned.masks] if aligned.within is None else [aligned.masks, aligned.within]


def paste_mask(
    aligned: AlignedFaces,
    batch: int,
    mask: str = "auto",
    parser: Parser | None = None,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Where `paste` would change images: (B, 1, H', W') in [0, 1], all faces together, without pasting.

    Args:
        aligned, mask, parser: see `paste`.
        batch: B, how many images.
        size: (H', W') of the images; those that the faces were found in when none is given.
    """
    union = buffers.zeros(aligned.masks, batch, 1, *(size or aligned.image_size))
    for _, place, _, weight in _placements(aligned, batch, size or aligned.image_size, mask, parser):
        _into(union[place], weight, torch.maximum)
    return union


def _into(target: Tensor, other: Tensor, combine: Callable[..., Tensor]) -> None:
    """Combine a mask (1, h, w) with another, in place, in strips below ATen's grain size (single-threaded)."""
    for rows in strips(target):
        combine(target[:, rows], other[:, rows], out=target[:, rows])


#: One crop in its image: its row, the region (image, :, rows, columns), crop pixels -> region pixels, and the weight (1, h, w).
_Placement = tuple[int, tuple[int, slice, slice, slice], Tensor, Tensor]


def _placements(
    aligned: AlignedFaces, batch: int, size: tuple[int, int], mask: str, parser: Parser | None
) -> Iterator[_Placement]:
    """The crops that overlap their images, one at a time; the call itself checks the arguments and computes the masks."""
    style = get_mask_style(mask, parser) or automatic_style(aligned)
    if not len(aligned):
        return iter(())
    check_images(aligned.faces, aligned.image_size, batch, size)
    masks = style.crop_mask(aligned, parser) if style.crop_mask else None
    within = None if aligned.within is None else resize(aligned.within.to(aligned.masks.dtype), *size)
    ones = aligned.masks.new_ones(1, 1, aligned.side, aligned.side)
    # A GPU is not asked which masks are ones; those that are alike all over have one value to multiply by.
    on_cpu = aligned.masks.device.type == "cpu"
    limited = (aligned.masks != 1).flatten(1).any(1).tolist() if on_cpu else [True] * len(aligned)
    alike = not on_cpu and aligned.masks.stride()[-2:] == (0, 0)
    scale_x, scale_y = size[1] / aligned.image_size[1], size[0] / aligned.image_size[0]
    exact = aligned.sampling == "exact"
    # In the reference's enlarged images a face lies half a pixel further to the bottom right (get_inverse_affine and
    # paste_faces_to_input_image add half the scale). Exact sampling does not do that.
    offset = 0.0 if exact or scale_x * scale_y <= 1 else 0.5
    affines = compose(invert(aligned.affines), compose(resize_affine(scale_x, scale_y), translation(offset, offset)))

    def place_crops() -> Iterator[_Placement]:
        for row, affine in enumerate(affines):
            x0, y0, x1, y1 = warped_bounds(affine, aligned.side, aligned.side, size)
            if x0 >= x1 or y0 >= y1:
                continue
            to_region = compose(affine[None], translation(-x0, -y0))
            target = to_region, y1 - y0, x1 - x0
            weight = warp(ones, *target)
            if style.seam:
                weight = seam_mask(weight, to_region, aligned.side, (scale_x * scale_y) ** 0.5)
            if masks is not None:
                _into(weight[0], warp(masks[row : row + 1], *target, antialias=exact)[0], torch.minimum)
            if limited[row]:
                own = aligned.masks[row : row + 1]
                _into(weight[0], (own[..., :1, :1] if alike else warp(own, *target, antialias=exact))[0], torch.mul)
            index, rows, columns = aligned.faces[row].image_index, slice(y0, y1), slice(x0, x1)
            if within is not None:
                _into(weight[0], within[index if len(within) > 1 else 0, :, rows, columns], torch.mul)
            yield row, (index, slice(None), rows, columns), to_region, weight[0]

    return place_crops()


def _warp_crop(crop: Tensor, aligned: AlignedFaces, to_region: Tensor, region: Tensor) -> Tensor:
    """A crop (3, S', S') warped into a region (3, h, w) of its image: (3, h, w).

    Its border is replicated as far as a weight can be above 0, or black would be mixed in: one of the S pixels, and three
    of the image's, since the even squares of the seam erode less to one side than it blurs.

    Args:
        aligned: whose crops of S pixels `to_region` maps from.
    """
    side = aligned.side
    affine = compose(resize_affine(side / crop.shape[-1]), to_region)
    border = min(
        crop.shape[-1], math.ceil(crop.shape[-1] / side + 3 * shrink_factor(affine))
    )  # a face may be smaller than a pixel
    height, width = region.shape[-2:]
    return warp(crop[None], affine, height, width, repeat=border, antialias=aligned.sampling == "exact")[0]


def keeps_detail(aligned: AlignedFaces, keep_detail: str | bool) -> list[bool]:
    """Of each face whether the image's own detail is kept.

    "auto" is for faces that are larger in the image than in the crop, and for small networks: smaller faces lose detail too
    when they are enlarged, drawn and shrunk again. 41 faces of 35 to 106 px in the test data, drawn by the starter, have 0.85
    of their gradient energy in the median, with their own detail 0.96.
    """
    word = switch_word(keep_detail)
    if word != "auto":
        return [word == "on"] * len(aligned)
    enlarged = aligned.crops.shape[-1] / aligned.side
    return [aligned.small or scale > enlarged for scale in aligned.image_scales()]


def with_detail(pasted: Tensor, region: Tensor, original: Tensor) -> Tensor:
    """A pasted crop with the fine detail of the image where the network corrected little.

    A crop of a large face has a lower resolution than the image, so a plain paste softens the face. The detail that the crop
    lost is the difference between the image and its own crop, warped back. It is added where the network's correction of the
    luminance is small and fades out (as a Gaussian) where it is large, so that damage is not brought back.

    Args:
        pasted, region, original: (3, h, w): the warped crop, the image under it, and the warped crop before restoration.
    """
    correction = luminance((pasted - original)[None])[0]
    return clamp_to_gamut((pasted + (region - original) * torch.exp(-((correction / CORRECTION_SCALE) ** 2)))[None])[0]
