"""Affine geometry and warping: similarity fit, inverse, composition, and bilinear sampling under an affine transform."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.transfer import numbers
from . import buffers
from .regions import MOST_SAMPLES, stacked
from .resize import area_average

#: Antialiased sampling: an image is shrunk to mip levels until a pixel of the result covers at least this many of its pixels,
#: and fewer than twice as many. With 2 a face ten times smaller than its crop came out at 45 dB (the oracle of the tests), with
#: 3 at 53, with 4 at 58 in 1.5 times the time.
MIP_RESIDUAL = 3

#: Below this many image pixels for each pixel of the result a single sample serves: further ones would be within a twelfth of
#: a pixel of it.
ONE_SAMPLE = 1.05


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


class Footprint(NamedTuple):
    """What antialiased sampling of a shrunk image averages: samples around each pixel, of the image at a coarser mip level.

    A pixel of the result that covers s pixels of the image is their mean (a box filter), as in cv2.INTER_AREA. The image is
    first shrunk by whole numbers until s is below 6; of the rest bilinear sampling averages one pixel by itself, so the samples
    are spread over a box whose variance is that of the remainder, s² - 1. The result thus changes continuously with s, and
    faces that grow in a video do not suddenly change their sharpness.

    Attributes:
        level: how many times the image is shrunk first.
        samples: in each direction, evenly spaced around the pixel.
        step: between two of them, in pixels of the result.
    """

    level: int = 1
    samples: int = 1
    step: float = 0.0


def footprints(affines: Tensor, size: tuple[int, int], antialias: bool = True) -> list[Footprint]:
    """What is averaged of images of `size` (H, W) under each of the similarities (N, 2, 3)."""
    if not antialias:
        return [Footprint()] * len(affines)
    return [_footprint(shrink, size) for shrink in shrink_factors(affines)]


def _footprint(shrink: float, size: tuple[int, int]) -> Footprint:
    level = max(1, min(int(shrink / MIP_RESIDUAL), *size))  # a face may be smaller than a pixel
    shrink /= level
    if shrink < ONE_SAMPLE:
        return Footprint(level)
    count = min(math.ceil(shrink), 2 * MIP_RESIDUAL)
    return Footprint(level, count, (shrink**2 - 1) ** 0.5 / shrink / count)


def shrink_factors(affines: Tensor) -> list[float]:
    """How many pixels of an image a pixel of the result covers in each direction, under each similarity (N, 2, 3)."""
    return [determinant**-0.5 for determinant in torch.linalg.det(affines[:, :, :2]).abs().tolist()]


def warp(
    images: Tensor,
    affines: Tensor,
    height: int,
    width: int,
    fill: Tensor | float = 0.0,
    out: Sequence[Tensor] | None = None,
    repeat: int = 0,
    antialias: bool = False,
) -> Tensor:
    """Images under affine transforms, bilinear; outside the image is `fill`, blended in within one pixel of the border.

    On the CPU by OpenCV, ten times as fast there as torch's grid_sample, which serves other devices; a test compares the two.

    Args:
        images: (N, C, H, W) float.
        affines: (N, 2, 3) image pixels -> pixels of the result; with `antialias` their footprints have one level and as many
            samples.
        height, width: size of the result.
        fill: a number, or one for each channel: (N, C) on the images' device, so that a GPU is not asked for them.
        out: N tensors (C, height, width) float32 that are written to.
        repeat: pixels outside the image over which its border is replicated before `fill` begins.
        antialias: where the transform shrinks, average over each pixel's footprint in the image, see `Footprint`.

    Returns:
        (N, C, height, width) on the images' device, in their dtype; with `out` in that of `out`.
    """
    sampled = footprints(affines, (images.shape[2], images.shape[3]), antialias)
    if (level := sampled[0].level) > 1:
        images, affines, repeat = area_average(images, level), compose(resize_affine(level), affines), -(-repeat // level)
    if images.device.type != "cpu":
        warped = _warp_torch(images, affines, sampled, (height, width), fill, repeat)
        if out is not None:
            for target, one in zip(out, warped, strict=True):
                target.copy_(one)
        return warped
    made = buffers.empty(images, len(images), images.shape[1], height, width, dtype=torch.float32) if out is None else out
    for index, (image, result, around) in enumerate(zip(images, made, sampled, strict=True)):
        values = fill[index].tolist() if isinstance(fill, Tensor) else [float(fill)] * len(image)
        _warp_cv2(image, _sample_affines(affines[index : index + 1], around), result, values, repeat)
    return made.to(images.dtype) if isinstance(made, Tensor) else stacked(made)


def _sample_affines(affine: Tensor, around: Footprint) -> list[Tensor]:
    """The affine (1, 2, 3), moved to each sample of a pixel."""
    shifts = [(index - (around.samples - 1) / 2) * around.step for index in range(around.samples)]
    return [compose(affine, translation(x, y)) if x or y else affine for y in shifts for x in shifts]


def _warp_cv2(image: Tensor, affines: list[Tensor], result: Tensor, fill: list[float], repeat: int) -> None:
    """The mean of an image (C, H, W) under several affines (1, 2, 3), into `result`."""
    affines = [compose(translation(-repeat, -repeat), affine) if repeat else affine for affine in affines]
    planes, results = image.float().numpy(), result.numpy()
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
    images: Tensor, affines: Tensor, sampled: list[Footprint], size: tuple[int, int], fill: Tensor | float, repeat: int = 0
) -> Tensor:
    """The images (N, C, H, W) under their affines, each pixel the mean of its samples: (N, C, *size).

    All samples are taken by one call and averaged by another, since a GPU spends more on launching kernels than on them; of
    faces far larger than their crops by a few, see `MOST_SAMPLES`.
    """
    planes, (height, width), count = images.float(), size, sampled[0].samples
    fill = fill[:, :, None, None] if isinstance(fill, Tensor) else fill
    filled = isinstance(fill, Tensor) or fill != 0
    if filled:
        planes = planes - fill
    if repeat:
        planes, affines = F.pad(planes, (repeat,) * 4, mode="replicate"), compose(translation(-repeat, -repeat), affines)
    # No matrix product: it rounds coordinates to 8 or 11 bits where a user or another pack has allowed bf16 or TF32.
    a, b, c, steps = _sampling(affines, (planes.shape[3], planes.shape[2]), sampled, images.device)
    positions = torch.arange(max(size), device=images.device, dtype=torch.float32).expand(len(images), -1)
    if count > 1:
        around = torch.arange((1 - count) / 2, count / 2, device=images.device, dtype=torch.float32)
        positions = torch.addcmul(positions[..., None], steps[:, None], around).flatten(1)  # (N, pixels * samples)
    x, y = positions[:, None, : width * count, None], positions[:, : height * count, None]
    bands = []
    for band in torch.addcmul(c, b, y).split(max(1, MOST_SAMPLES // (len(images) * x.shape[2] * count)) * count, 1):
        grid = torch.addcmul(band[:, :, None], a[:, None], x)  # (N, rows, columns, 2)
        taken = F.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        bands.append(F.avg_pool2d(taken, count) if count > 1 else taken)
    warped = torch.cat(bands, 2) if len(bands) > 1 else bands[0]
    return (warped + fill if filled else warped).to(images.dtype)


def _sampling(affines: Tensor, sides: tuple[int, int], sampled: list[Footprint], device: torch.device) -> list[Tensor]:
    """What positions in results are multiplied by and moved by to be those in images, and the distances of samples.

    Args:
        sides: width and height of the images, in whose frame -1 and 1 are the outer edges of the border pixels (grid_sample).

    Returns:
        (N, 1, 2) for each of a x + b y + c, and (N, 1).
    """
    frame = invert(affines) * 2
    frame[:, :, 2] += 1
    frame /= torch.tensor(sides, dtype=frame.dtype)[:, None]
    frame[:, :, 2] -= 1
    steps = torch.tensor([one.step for one in sampled], dtype=frame.dtype)
    values = torch.cat([frame.transpose(1, 2).flatten(1), steps[:, None]], 1)  # (N, 7)
    on_device = numbers(values.flatten().tolist(), device).reshape(-1, 1, 7)
    return [*on_device[..., :6].split(2, 2), on_device[:, :, 6]]


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
