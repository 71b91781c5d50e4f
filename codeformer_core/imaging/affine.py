"""Affine geometry and warping: similarity fit, inverse, composition, and bilinear sampling under an affine transform."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import buffers


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
    linear = then[:, :, :2] @ first[:, :, :2]
    return torch.cat([linear, then[:, :, :2] @ first[:, :, 2:] + then[:, :, 2:]], dim=2)


def translation(x: float, y: float) -> Tensor:
    """(1, 2, 3): the translation by (x, y) pixels."""
    return torch.tensor([[[1.0, 0.0, x], [0.0, 1.0, y]]], dtype=torch.float64)


def resize_affine(x: float, y: float | None = None) -> Tensor:
    """(1, 2, 3): pixels of an image -> pixels of it resized by `x` and `y` times, with pixel centres at integers."""
    y = x if y is None else y
    return torch.tensor([[[x, 0.0, (x - 1) / 2], [0.0, y, (y - 1) / 2]]], dtype=torch.float64)


def warp(
    images: Tensor,
    affines: Tensor,
    height: int,
    width: int,
    fill: Sequence[float] | float = 0.0,
    out: Tensor | None = None,
    repeat: int = 0,
) -> Tensor:
    """Images under an affine transform, bilinear; outside an image is `fill`, blended in within one pixel of the border.

    On the CPU by OpenCV, ten times as fast there as torch's grid_sample, which serves other devices; a test compares the two.

    Args:
        images: (N, C, H, W) float.
        affines: (N, 2, 3) image pixels -> pixels of the result.
        height, width: size of the result.
        fill: a number, or one for each channel.
        out: (N, C, height, width) float32 that is written to, or a new tensor.
        repeat: pixels by which the image's border is replicated outwards, before `fill`.

    Returns:
        `out`; or (N, C, height, width) on the images' device, in their dtype.
    """
    values = list(fill) if isinstance(fill, Sequence) else [float(fill)] * images.shape[1]
    if images.device.type != "cpu":
        warped = _warp_torch(images, affines, height, width, values, repeat)
        return warped if out is None else out.copy_(warped)
    result = buffers.empty(images, *images.shape[:2], height, width, dtype=torch.float32) if out is None else out
    shifted = compose(translation(-repeat, -repeat), affines).numpy()
    for image, affine, planes in zip(images.float().numpy(), shifted, result.numpy(), strict=True):
        for plane, value, warped in zip(image, values, planes, strict=True):
            # Rows of a view into a large image are memory pages apart, and a rotated face crosses many: a compact copy is
            # faster. It replicates the border too, since BORDER_REPLICATE makes OpenCV's warpAffine three times as slow.
            compact = cv2.copyMakeBorder(plane, repeat, repeat, repeat, repeat, cv2.BORDER_REPLICATE)
            cv2.warpAffine(compact, affine, (width, height), warped, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, value)
    return result if out is not None else result.to(images.dtype)


def _warp_torch(images: Tensor, affines: Tensor, height: int, width: int, fill: list[float], repeat: int = 0) -> Tensor:
    if repeat:
        images, affines = F.pad(images, (repeat,) * 4, mode="replicate"), compose(translation(-repeat, -repeat), affines)
    y = torch.arange(height, device=images.device, dtype=torch.float32)[:, None]
    x = torch.arange(width, device=images.device, dtype=torch.float32)
    grids = []
    for back in invert(affines).tolist():
        # Python numbers, since copying small tensors to a GPU synchronises; no matrix product, which rounds coordinates to 8 or
        # 11 bits where bf16 or TF32 is allowed. In grid_sample's frame, -1 and 1 are the outer edges of the border pixels.
        axes = [
            x * (2 * a / side) + (y * (2 * b / side) + ((2 * c + 1) / side - 1))
            for (a, b, c), side in zip(back, (images.shape[3], images.shape[2]), strict=True)
        ]
        grids.append(torch.stack(axes, dim=-1))
    planes = [plane - value for plane, value in zip(images.float().unbind(1), fill, strict=True)]
    sampled = F.grid_sample(
        torch.stack(planes, 1), torch.stack(grids), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    for plane, value in zip(sampled.unbind(1), fill, strict=True):
        plane += value
    return sampled.to(images.dtype)


def warped_bounds(affine: Tensor, width: int, height: int, bounds: tuple[int, int]) -> tuple[int, int, int, int]:
    """The bounding box of a (height, width) rectangle under `affine` (2, 3), with two pixels to spare for interpolation.

    Args:
        bounds: (H, W) of the image that it is clipped to.

    Returns:
        x0, y0, x1, y1, end exclusive, clipped; empty (x0 >= x1 or y0 >= y1) when it misses the image.
    """
    corners = torch.tensor([[-1, -1, 1], [width, -1, 1], [-1, height, 1], [width, height, 1]], dtype=torch.float64)
    warped = corners @ affine.T.double()
    low, high = warped.amin(0).floor().long() - 2, warped.amax(0).ceil().long() + 3
    x0, y0 = (max(0, int(v)) for v in low)
    return x0, y0, min(bounds[1], int(high[0])), min(bounds[0], int(high[1]))
