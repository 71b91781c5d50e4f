"""Morphology of masks: erosion, dilation, Gaussian blur, and the reference's soft paste mask of a crop."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.transfer import numbers

T = TypeVar("T", int, float)


def grow_and_feather(masks: Tensor, grow: int = 0, feather: int = 0) -> Tensor:
    """Masks dilated or eroded, then blurred. The crop's border is not an edge of the mask: what touches it keeps touching it.

    Args:
        masks: (N, 1, h, w) in [0, 1].
        grow: pixels of dilation by a square; a negative number erodes.
        feather: pixels on either side of an edge over which the mask fades, 0.5 at the edge; 0 keeps it hard.

    Returns:
        (N, 1, h, w) in [0, 1].
    """
    if feather < 0:
        raise ValueError(f"Found a feather of {feather} pixels. Expected 0 or more: use grow to move the edge.")
    if grow > 0:
        masks = 1 - erode(1 - masks, 2 * grow + 1)
    elif grow < 0:
        masks = erode(masks, 1 - 2 * grow)
    if feather > 0:
        masks = blur(masks, _sigma(feather), feather)
    return masks


def seam_width(affine: Tensor, side: int, height: int, width: int, scale: float) -> int:
    """The pixels by which `seam_mask` shrinks what a warped crop covers: a twentieth of its side.

    Args:
        affine: (1, 2, 3) the warp, of a crop of `side` pixels to a region of `height` and `width`.
        scale: see `seam_mask`.
    """
    return int(math.sqrt(eroded_area(affine, side, height, width, _outline(scale)))) // 20


def seam_mask(covered: Tensor, widths: Sequence[int], scale: float) -> Tensor:
    """The reference's square mask: what the warped crop covers, shrunk by a tenth of its side and blurred over that tenth.

    Args:
        covered: (N, 1, h, w) in [0, 1]: ones under the warp, with a margin of zeros where it ends inside the image.
        widths: N, see `seam_width`.
        scale: how many times larger the image is than the one that the face was found in.

    Returns:
        (N, 1, h, w) in [0, 1].
    """
    eroded = erode(erode(covered, _outline(scale)), [max(1, 2 * width) for width in widths])
    return blur(eroded, [_sigma(width) for width in widths], widths)


def _outline(scale: float) -> int:
    """The size of the square that the reference first erodes by."""
    return max(1, int(2 * scale))


def _sigma(radius: int) -> float:
    """OpenCV's default sigma for a kernel of 2 * radius + 1 pixels (getGaussianKernel), which the reference uses."""
    return 0.3 * (radius - 1) + 0.8


def erode(masks: Tensor, size: int | Sequence[int]) -> Tensor:
    """Masks (N, 1, h, w) eroded by a square of `size` pixels, one for all or N; the image border does not erode.

    An even square extends a pixel further to the top left, as OpenCV's does.
    """
    sizes = _for_each(size, masks)
    if masks.device.type != "cpu":
        return _erode_torch(masks, sizes)
    eroded = torch.empty(masks.shape)
    for mask, out, own in zip(masks.float().numpy(), eroded.numpy(), sizes, strict=True):
        cv2.erode(mask[0], cv2.getStructuringElement(cv2.MORPH_RECT, (own, own)), out[0])
    return eroded.to(masks.dtype)


def _for_each(value: T | Sequence[T], masks: Tensor) -> Sequence[T]:
    return value if isinstance(value, Sequence) else [value] * len(masks)


def _erode_torch(masks: Tensor, sizes: Sequence[int]) -> Tensor:
    inverted = -masks
    if len(set(sizes)) <= 1:
        return -_dilate(inverted, sizes[0]) if sizes else masks
    return -torch.cat([_dilate(mask[None], size) for mask, size in zip(inverted, sizes, strict=True)])


def _dilate(masks: Tensor, size: int) -> Tensor:
    """The largest value of each square, which extends a pixel further to the top left where its size is even."""
    before = size // 2  # on both sides, as max_pool2d pads: of an even size the last row and column are beyond the mask
    across = F.max_pool2d(masks, (1, size), 1, (0, before))
    return F.max_pool2d(across, (size, 1), 1, (before, 0))[..., : masks.shape[-2], : masks.shape[-1]]


def blur(masks: Tensor, sigma: float | Sequence[float], radius: int | Sequence[int]) -> Tensor:
    """Masks (N, 1, h, w) in [0, 1] blurred by a Gaussian truncated at `radius`, mirrored at the border (BORDER_REFLECT_101).

    Args:
        sigma, radius: in pixels, one for all or N.
    """
    sigmas, radii = _for_each(sigma, masks), _for_each(radius, masks)
    if masks.device.type != "cpu":
        return _blur_torch(masks, sigmas, radii)
    blurred = torch.empty(masks.shape)
    for mask, out, spread, reach in zip(masks.float().numpy(), blurred.numpy(), sigmas, radii, strict=True):
        cv2.GaussianBlur(mask[0], (2 * reach + 1, 2 * reach + 1), spread, out[0])
        np.minimum(out, 1, out=out)  # the weights of a kernel only nearly sum to 1
    return blurred.to(masks.dtype)


def _blur_torch(masks: Tensor, sigmas: Sequence[float], radii: Sequence[int]) -> Tensor:
    """Each mask is a channel of one grouped convolution, with kernels as long as the longest."""
    reach = max(radii, default=0)
    squares = torch.arange(-reach, reach + 1, device=masks.device, dtype=torch.float32).square()
    of_each = [value for sigma, radius in zip(sigmas, radii, strict=True) for value in (-0.5 / sigma**2, float(radius**2))]
    factors, furthest = numbers(of_each, masks.device).reshape(-1, 2, 1).unbind(1)
    kernels = (squares * factors).masked_fill(squares > furthest, -math.inf).softmax(1).to(masks.dtype)  # (N, 2 reach + 1)
    padded = F.pad(masks, (reach,) * 4, mode="reflect") if reach < min(masks.shape[-2:]) else _reflected(masks, reach)
    planes, groups = padded.transpose(0, 1), len(masks)
    # cuDNN may round to TF32 here (its default): a mask changes by 6e-4 at most, a seventh of a level of 255.
    planes = F.conv2d(F.conv2d(planes, kernels[:, None, None], groups=groups), kernels[:, None, :, None], groups=groups)
    return planes.transpose(0, 1).clamp(max=1)


def _reflected(masks: Tensor, radius: int) -> Tensor:
    """Masks mirrored as often as it takes: PyTorch's mode reflects once."""
    for axis in (2, 3):
        index = torch.arange(-radius, masks.shape[axis] + radius, device=masks.device)
        period = max(1, 2 * (masks.shape[axis] - 1))
        index = index.remainder(period)
        masks = masks.index_select(axis, torch.minimum(index, period - index))
    return masks


def eroded_area(affine: Tensor, side: int, height: int, width: int, size: int) -> float:
    """Pixels that a warped square covers of an image, after an erosion by a square of `size` pixels; without reading pixels.

    A sum of the warped mask would make a GPU wait for every face. The square roots of the two differ by less than half a pixel:
    of 1500 random faces by 0.02 in 19 of 20, and never enough for another seam.

    Args:
        affine: (1, 2, 3) similarity, pixels of the square -> pixels of the image.
        side: of the square in pixels.
        height, width: of the image, whose border does not erode, see `erode`.
    """
    (a, b, c), (d, e, f) = affine[0].tolist()
    low, high = -0.5, side - 0.5
    square = [(a * x + b * y + c, d * x + e * y + f) for x, y in ((low, low), (high, low), (high, high), (low, high))]
    if a * e < b * d:  # mirrored: the other way round
        square.reverse()
    before, after = size // 2, size - 1 - size // 2  # an even size extends further to the top left
    covered = [(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)]
    for (x0, y0), (x1, y1) in pairwise([*square, square[0]]):
        across, down = y1 - y0, x0 - x1  # outwards
        reach = max(-across * before, across * after) + max(-down * before, down * after)
        covered = _half_plane(covered, across, down, across * x0 + down * y0 - reach)
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise([*covered, *covered[:1]]))) / 2


def _half_plane(polygon: list[tuple[float, float]], a: float, b: float, c: float) -> list[tuple[float, float]]:
    """The part of a convex polygon in which a x + b y <= c (Sutherland and Hodgman)."""
    kept = []
    for (x0, y0), (x1, y1) in pairwise([*polygon, *polygon[:1]]):
        start, end = a * x0 + b * y0 - c, a * x1 + b * y1 - c
        if start <= 0:
            kept.append((x0, y0))
        if (start <= 0) != (end <= 0):
            share = start / (start - end)
            kept.append((x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
    return kept
