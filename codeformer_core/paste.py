"""Paste crops back: inverse warp and alpha compositing, each crop only inside the rectangle that it can change."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from .faces import AlignedFaces, check_images
from .imaging import buffers
from .imaging.affine import compose, footprints, invert, resize_affine, shrink_factors, translation, warp, warped_bounds
from .imaging.buffers import strips
from .imaging.detail import with_detail
from .imaging.grain import lacking_grain, with_grain
from .imaging.morphology import seam_mask, seam_width
from .imaging.regions import Kind, Region, group, of_one_size, stacked
from .imaging.resize import resize
from .masks.parsing import Parser
from .masks.styles import automatic_style, get_mask_style
from .options.fix import switch_word
from .runtime.finite import check_finite, check_pixels, extremes
from .runtime.prefetch import prefetch


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
        keep_detail: see `imaging.detail` and `FixOptions.keep_detail`.
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
    # The noise of grain is drawn face by face, so that all devices add the same.
    placements = _placements(aligned, batch, (height, width), mask, parser, detailed if grain is None else range(len(aligned)))
    if not len(aligned):
        return images, changed
    # Half of the time goes into the weights, which OpenCV computes single-threaded: the next face's are prefetched. Not on a
    # GPU, whose kernels must be launched on the caller's stream.
    with prefetch(placements, 1) if images.device.type == "cpu" else nullcontext(placements) as ready:
        result = buffers.empty(images, *images.shape).copy_(images)
        noise = None if grain is None else torch.Generator().manual_seed(grain)
        for placement in ready:
            pasted = _warp_crops(aligned.crops, aligned, placement)
            if detailed[placement.rows[0]]:
                before = stacked([region.of(images) for region in placement.regions])
                pasted = with_detail(pasted, before, _warp_crops(aligned.originals, aligned, placement))
            for region, drawn, weight in zip(placement.regions, pasted, placement.weights, strict=True):
                under, lacking = region.of(result), lacking_grain(region.of(images), drawn, weight, noise)
                for rows in strips(under):
                    part, share = under[:, rows], weight[:, rows]
                    added = None if lacking is None else lacking[:, rows]
                    mixed = with_grain(torch.lerp(part, drawn[:, rows], share), added, share)
                    torch.where(share > 0, mixed, part, out=part)
                _into(region.of(changed), weight, torch.maximum)
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
    for placement in _placements(aligned, batch, size or aligned.image_size, mask, parser, [None] * len(aligned)):
        for region, weight in zip(placement.regions, placement.weights, strict=True):
            _into(region.of(union), weight, torch.maximum)
    return union


def _into(target: Tensor, other: Tensor, combine: Callable[..., Tensor]) -> None:
    """Combine masks (..., 1, h, w) with others, in place, in strips below ATen's grain size (single-threaded)."""
    for rows in strips(target.flatten(0, -3)):
        combine(target[..., rows, :], other[..., rows, :], out=target[..., rows, :])


class _Placement(NamedTuple):
    """Crops in their images, in the order in which they are composited: on a GPU those of one footprint, else a single one.

    Attributes:
        rows: of the faces: n.
        regions: n, of one size.
        to_regions: (n, 2, 3) pixels of `AlignedFaces.originals` -> pixels of the region.
        weights: (n, 1, h, w) in [0, 1]; 0 where a region was grown to the size of the others.
    """

    rows: list[int]
    regions: list[Region]
    to_regions: Tensor
    weights: Tensor


def _placements(
    aligned: AlignedFaces, batch: int, size: tuple[int, int], mask: str, parser: Parser | None, apart: Sequence[Hashable]
) -> Iterator[_Placement]:
    """The crops that overlap their images; the call itself checks the arguments and computes the masks.

    Args:
        apart: N, faces with different values are never placed together.
    """
    style = get_mask_style(mask, parser) or automatic_style(aligned)
    if not len(aligned):
        return iter(())
    check_images(aligned.faces, aligned.image_size, batch, size)
    masks = style.crop_mask(aligned, parser) if style.crop_mask else None
    within = None if aligned.within is None else resize(aligned.within.to(aligned.masks.dtype), *size)
    side, on_cpu = aligned.side, aligned.masks.device.type == "cpu"
    ones = aligned.masks.new_ones(1, 1, side, side)
    # A GPU is not asked which masks are ones; those that are alike all over have one value to multiply by.
    limited = (aligned.masks != 1).flatten(1).any(1).tolist() if on_cpu else [True] * len(aligned)
    alike = not on_cpu and aligned.masks.stride()[-2:] == (0, 0)
    limits = aligned.masks[..., :1, :1] if alike else aligned.masks
    scale_x, scale_y = size[1] / aligned.image_size[1], size[0] / aligned.image_size[0]
    exact, scale = aligned.sampling == "exact", (scale_x * scale_y) ** 0.5
    # In the reference's enlarged images a face lies half a pixel further to the bottom right (get_inverse_affine and
    # paste_faces_to_input_image add half the scale). Exact sampling does not do that.
    offset = 0.0 if exact or scale_x * scale_y <= 1 else 0.5
    affines = compose(invert(aligned.affines), compose(resize_affine(scale_x, scale_y), translation(offset, offset)))
    bounds = [warped_bounds(affine, side, side, size) for affine in affines]
    regions = [Region(face.image_index, *own) for face, own in zip(aligned.faces, bounds, strict=True)]

    def place_crops() -> Iterator[_Placement]:
        for rows in group(regions, _kinds(aligned, affines, apart), together=not on_cpu):
            own = [regions[row] for row in rows]
            placed = of_one_size(own, size)
            to_regions = compose(affines[rows], _translations(placed))
            target = to_regions, placed[0].height, placed[0].width
            weights = warp(ones.expand(len(rows), -1, -1, -1), *target)
            if style.seam:
                tight = zip(compose(affines[rows], _translations(own)).split(1), own, strict=True)
                widths = [seam_width(affine, side, region.height, region.width, scale) for affine, region in tight]
                weights = seam_mask(weights, widths, scale)
            if masks is not None:
                _into(weights, warp(stacked([masks[row] for row in rows]), *target, antialias=exact), torch.minimum)
            if any(limited[row] for row in rows):
                chosen = stacked([limits[row] for row in rows])
                _into(weights, chosen if alike else warp(chosen, *target, antialias=exact), torch.mul)
            if within is not None:
                _into(weights, stacked([region.of(within) for region in placed]), torch.mul)
            yield _Placement(rows, placed, to_regions, weights)

    return place_crops()


def _translations(regions: Sequence[Region]) -> Tensor:
    """(n, 2, 3): pixels of images -> pixels of their regions."""
    return torch.cat([translation(-region.x0, -region.y0) for region in regions])


def _kinds(aligned: AlignedFaces, affines: Tensor, apart: Sequence[Hashable]) -> list[Kind]:
    """What faces have in common that can be warped together from their crops, and from their originals and masks."""
    side, drawn, exact = aligned.side, aligned.crops.shape[-1], aligned.sampling == "exact"
    kinds = []
    of_crops = footprints(compose(resize_affine(side / drawn), affines), (drawn, drawn), exact)
    for crop, mask, own in zip(of_crops, footprints(affines, (side, side), exact), apart, strict=True):
        key = crop.level, crop.samples, mask.level, mask.samples, own
        kinds.append(Kind(max(crop.samples, mask.samples) ** 2, max(side, drawn) ** 2, key))
    return kinds


def _warp_crops(crops: Tensor, aligned: AlignedFaces, placement: _Placement) -> Tensor:
    """The crops of a placement, of all crops (N, 3, S', S'), warped into their regions: (n, 3, h, w).

    Their border is replicated as far as a weight can be above 0, or black would be mixed in: one of the S pixels, and three
    of the image's, since the even squares of the seam erode less to one side than it blurs.
    """
    side, drawn = aligned.side, crops.shape[-1]
    affines = compose(resize_affine(side / drawn), placement.to_regions)
    border = min(drawn, math.ceil(drawn / side + 3 * max(shrink_factors(affines))))  # a face may be smaller than a pixel
    height, width = placement.weights.shape[-2:]
    chosen = stacked([crops[row] for row in placement.rows])
    return warp(chosen, affines, height, width, repeat=border, antialias=aligned.sampling == "exact")


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
