"""Affine geometry and warping: similarity fit, inverse, composition, and bilinear sampling under an affine transform."""

import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import buffers
from .resize import area_average

#: Antialiased sampling: an image is shrunk to mip levels until a pixel of the result covers at least this many of its pixels,
#: and fewer than twice as many. With 2 a face ten times smaller than its crop came out at 45 dB (the oracle of the tests), with
#: 3 at 53, with 4 at 58 in 1.5 times the time.
MIP_RESIDUAL = 3

#: Below this many image pixels for each pixel of the result a single sample serves: further ones would be within a twelfth of
#: a pixel of it.
ONE_SAMPLE = 1.05

#: So many samples at once on a GPU: with their coordinates 140 MB. A face six times larger than its crop has nine million.
MOST_SAMPLES = 1 << 22


def fit_similarity(points: Tensor, target: Tensor) -> Tensor:
    """Similarity transform (rotation, scale, translation) from landmarks to a target: least median of squares (LMedS).

    Robust against one outlier, and OpenCV's, as in the reference.

    Args:
        points: (N, 5, 2) landmarks in image pixels.
        target: (5, 2), see `align.template`.

    Returns:
        (N, 2, 3) float64, image pixels -> the target's pixels.

    Raises:
        ValueError: landmarks without a fit (all in one place, or not finite).
    """
    goal = target.cpu().numpy().astype(np.float32)
    fits = []
    for face in points.cpu().numpy().astype(np.float32):
        fit = cv2.estimateAffinePartial2D(face, goal, method=cv2.LMEDS)[0] if np.isfinite(face).all() else None
        if fit is None or not np.isfinite(fit).all() or np.hypot(fit[0, 0], fit[0, 1]) == 0:
            raise ValueError(
                f"Found landmarks {np.round(face, 1).tolist()}, which fit no face. Expected five different points: "
                "detect again, or leave this face out."
            )
        fits.append(fit)
    return torch.from_numpy(np.stack(fits).astype(np.float64)) if fits else torch.zeros(0, 2, 3, dtype=torch.float64)


def invert(affines: Tensor) -> Tensor:
    """(N, 2, 3) transforms -> their inverses (N, 2, 3)."""
    linear = torch.linalg.inv(affines[:, :, :2])
    return torch.cat([linear, -linear @ affines[:, :, 2:]], dim=2)


def compose(first: Tensor, then: Tensor) -> Tensor:
    """The (N, 2, 3) transforms that apply `first` (N, 2, 3), then `then` (N, 2, 3)."""
    composed = then[:, :, :2] @ first
    composed[:, :, 2:].add_(then[:, :, 2:])
    return composed


def translation(x: float, y: float) -> Tensor:
    """(1, 2, 3): the translation by (x, y) pixels."""
    return torch.tensor([[[1.0, 0.0, x], [0.0, 1.0, y]]], dtype=torch.float64)


def resize_affine(x: float, y: float | None = None) -> Tensor:
    """(1, 2, 3): pixels of an image -> pixels of it resized by `x` and `y` times, with pixel centres at integers."""
    y = x if y is None else y
    return torch.tensor([[[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2]]], dtype=torch.float64)


def shrink_factor(affine: Tensor) -> float:
    """How many pixels of an image a pixel of the result covers in each direction, under a similarity (1, 2, 3)."""
    return float(torch.linalg.det(affine[0, :, :2]).abs()) ** -0.5


def warp(
    image: Tensor,
    affine: Tensor,
    height: int,
    width: int,
    fill: Tensor | Sequence[float] | float = 0.0,
    out: Tensor | None = None,
    repeat: int = 0,
    antialias: bool = False,
) -> Tensor:
    """An image under an affine transform, bilinear; outside the image is `fill`, blended in within one pixel of the border.

    On the CPU by OpenCV, ten times as fast there as torch's grid_sample, which serves other devices; a test compares the two.

    Args:
        image: (1, C, H, W) float.
        affine: (1, 2, 3) image pixels -> pixels of the result.
        height, width: size of the result.
        fill: a number, or one for each channel: a tensor on the image's device, so that a GPU is not asked for them.
        out: (1, C, height, width) float32 that is written to, or a new tensor.
        repeat: pixels outside the image over which its border is replicated before `fill` begins.
        antialias: where the transform shrinks, average over each pixel's footprint in the image, see `_footprint`.

    Returns:
        `out`; or (1, C, height, width) on the image's device, in its dtype.
    """
    values = list(fill) if isinstance(fill, (Sequence, Tensor)) else [float(fill)] * image.shape[1]
    shifts = [0.0]
    if antialias:
        image, affine, level, shifts = _footprint(image, affine)
        repeat = -(-repeat // level)
    if image.device.type != "cpu":
        warped = _warp_torch(image, affine, shifts, (height, width), values, repeat)
        return warped if out is None else out.copy_(warped)
    result = buffers.empty(image, *image.shape[:2], height, width, dtype=torch.float32) if out is None else out
    samples = [compose(affine, translation(x, y)) if x or y else affine for y in shifts for x in shifts]
    _warp_cv2(image, samples, result, [float(value) for value in values], repeat)
    return result if out is not None else result.to(image.dtype)


def _footprint(image: Tensor, affine: Tensor) -> tuple[Tensor, Tensor, int, list[float]]:
    """What antialiased sampling of a shrunk image averages: samples around each pixel, of the image at a coarser mip level.

    A pixel of the result that covers s pixels of the image is their mean (a box filter), as in cv2.INTER_AREA. The image is
    first shrunk by whole numbers until s is below 6; of the rest bilinear sampling averages one pixel by itself, so the samples
    are spread over a box whose variance is that of the remainder, s² - 1. The result thus changes continuously with s, and
    faces that grow in a video do not suddenly change their sharpness.

    Returns:
        The image, shrunk; (1, 2, 3) from its pixels to those of the result; how many times it was shrunk; and in each direction
        where the samples are, in pixels of the result: evenly spaced around 0.
    """
    shrink = shrink_factor(affine)
    level = max(1, min(int(shrink / MIP_RESIDUAL), *image.shape[-2:]))  # a face may be smaller than a pixel
    if level > 1:
        image, affine, shrink = area_average(image, level), compose(resize_affine(level), affine), shrink / level
    if shrink < ONE_SAMPLE:
        return image, affine, level, [0.0]
    count = min(math.ceil(shrink), 2 * MIP_RESIDUAL)
    step = (shrink**2 - 1) ** 0.5 / shrink / count
    return image, affine, level, [(index - (count - 1) / 2) * step for index in range(count)]


def _warp_cv2(image: Tensor, affines: list[Tensor], result: Tensor, fill: list[float], repeat: int) -> None:
    """The mean of the image under several affines, into `result`."""
    affines = [compose(translation(-repeat, -repeat), affine) if repeat else affine for affine in affines]
    (planes,), (results,) = image.float().numpy(), result.numpy()
    first, *others = (affine[0].numpy() for affine in affines)
    sample = np.empty(results.shape[1:], np.float32)
    size = sample.shape[::-1]
    for plane, value, out in zip(planes, fill, results, strict=True):
        # Rows of a view into a large image are memory pages apart, and a rotated face crosses many: copied together first.
        # The border is replicated by that copy: BORDER_REPLICATE makes OpenCV's warpAffine three times as slow.
        compact = cv2.copyMakeBorder(plane, repeat, repeat, repeat, repeat, cv2.BORDER_REPLICATE)
        cv2.warpAffine(compact, first, size, out, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, value)
        for affine in others:
            cv2.warpAffine(compact, affine, size, sample, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, value)
            cv2.accumulate(sample, out)
        if others:
            out *= 1 / len(affines)


def _warp_torch(
    image: Tensor, affine: Tensor, shifts: list[float], size: tuple[int, int], fill: Sequence[float | Tensor], repeat: int = 0
) -> Tensor:
    """The image under an affine, each pixel the mean of the samples at `shifts` in both directions: (1, C, *size).

    All samples are taken by one call and averaged by another, since a GPU spends more on launching kernels than on them; of
    faces far larger than their crops by a few, see `MOST_SAMPLES`.
    """
    planes, filled = image.float(), any(isinstance(value, Tensor) or value for value in fill)
    if filled:
        planes = torch.stack([plane - value for plane, value in zip(planes.unbind(1), fill, strict=True)], 1)
    if repeat:
        planes, affine = F.pad(planes, (repeat,) * 4, mode="replicate"), compose(translation(-repeat, -repeat), affine)
    y, x = (_positions(side, shifts, image.device) for side in size)
    # Python numbers, since copying small tensors to a GPU synchronises. And no matrix product: it rounds coordinates to 8 or 11
    # bits where a user or another pack has allowed bf16 or TF32.
    # In grid_sample's frame, whose -1 and 1 are the outer edges of the border pixels.
    axes = [
        (2 * a / side, 2 * b / side, (2 * c + 1) / side - 1)
        for (a, b, c), side in zip(invert(affine)[0].tolist(), (planes.shape[3], planes.shape[2]), strict=True)
    ]
    bands = []
    for band in y.split(max(1, MOST_SAMPLES // (len(x) * len(shifts))) * len(shifts)):
        grid = torch.stack([torch.add((band * b + c)[:, None], x, alpha=a) for a, b, c in axes], dim=-1)[None]
        sampled = F.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        bands.append(F.avg_pool2d(sampled, len(shifts)) if len(shifts) > 1 else sampled)
    warped = torch.cat(bands, 2) if len(bands) > 1 else bands[0]
    if filled:
        warped = torch.stack([plane + value for plane, value in zip(warped.unbind(1), fill, strict=True)], 1)
    return warped.to(image.dtype)


def _positions(size: int, shifts: list[float], device: torch.device) -> Tensor:
    """The coordinates of the samples along a side of `size` pixels: (size * len(shifts),), those of one pixel together."""
    pixels = torch.arange(size, device=device, dtype=torch.float32)
    if len(shifts) == 1:
        return pixels
    return (pixels[:, None] + torch.linspace(shifts[0], shifts[-1], len(shifts), device=device)).flatten()


def warped_bounds(affine: Tensor, width: int, height: int, bounds: tuple[int, int]) -> tuple[int, int, int, int]:
    """The bounding box of a (height, width) rectangle under `affine` (2, 3), with two pixels to spare for interpolation.

    Args:
        bounds: (H, W) of the image that it is clipped to.

    Returns:
        x0, y0, x1, y1, end exclusive, clipped; empty (x0 >= x1 or y0 >= y1) when it misses the image.
    """
    spans = []
    for (a, b, c), size in zip(affine.tolist(), reversed(bounds), strict=True):
        corners = [a * x + b * y + c for x in (-1, width) for y in (-1, height)]
        spans.append((max(0, math.floor(min(corners)) - 2), min(size, math.ceil(max(corners)) + 3)))
    (x0, x1), (y0, y1) = spans
    return x0, y0, x1, y1


def eroded_area(affine: Tensor, side: int, height: int, width: int, size: int) -> float:
    """Pixels that a warped square covers of an image, after an erosion by a square of `size` pixels; without reading pixels.

    A sum of the warped mask would make a GPU wait for every face. The square roots of the two differ by less than half a pixel:
    of 1500 random faces by 0.02 in 19 of 20, and never enough for another seam.

    Args:
        affine: (1, 2, 3) similarity, pixels of the square -> pixels of the image.
        side: of the square in pixels.
        height, width: of the image, whose border does not erode, see `morphology.erode`.
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
