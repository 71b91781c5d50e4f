"""Morphology of masks: erosion, dilation, Gaussian blur, and the reference's soft paste mask of a crop."""

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .affine import eroded_area


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


def seam_mask(covered: Tensor, affine: Tensor, side: int, scale: float) -> Tensor:
    """The reference's square mask: what the warped crop covers, shrunk by a tenth of its side and blurred over that tenth.

    Args:
        covered: (1, 1, h, w) in [0, 1]: ones under the warp, with a margin of zeros where it ends inside the image.
        affine: (1, 2, 3) the warp, of a crop of `side` pixels.
        side: see `affine`.
        scale: how many times larger the image is than the one that the face was found in.

    Returns:
        (1, 1, h, w) in [0, 1].
    """
    outline = max(1, int(2 * scale))
    height, width = covered.shape[-2:]
    edge = int(math.sqrt(eroded_area(affine, side, height, width, outline))) // 20
    covered = erode(covered, outline)
    return blur(erode(covered, 2 * edge), _sigma(edge), edge) if edge else covered


def _sigma(radius: int) -> float:
    """OpenCV's default sigma for a kernel of 2 * radius + 1 pixels (getGaussianKernel), which the reference uses."""
    return 0.3 * (radius - 1) + 0.8


def erode(masks: Tensor, size: int) -> Tensor:
    """Masks (N, 1, h, w) eroded by a square of `size` pixels; the image border does not erode.

    An even square extends a pixel further to the top left, as OpenCV's does.
    """
    if masks.device.type != "cpu":
        return _erode_torch(masks, size)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (size, size))
    eroded = torch.empty(masks.shape)
    for mask, out in zip(masks.float().numpy(), eroded.numpy(), strict=True):
        cv2.erode(mask[0], kernel, out[0])
    return eroded.to(masks.dtype)


def _erode_torch(masks: Tensor, size: int) -> Tensor:
    before = size // 2  # on both sides, as max_pool2d pads: of an even size the last row and column are beyond the mask
    across = F.max_pool2d(-masks, (1, size), 1, (0, before))
    eroded = -F.max_pool2d(across, (size, 1), 1, (before, 0))
    return eroded[..., : masks.shape[-2], : masks.shape[-1]]


def blur(masks: Tensor, sigma: float, radius: int) -> Tensor:
    """Masks (N, 1, h, w) in [0, 1] blurred by a Gaussian truncated at `radius`, mirrored at the border (BORDER_REFLECT_101)."""
    if masks.device.type != "cpu":
        return _blur_torch(masks, sigma, radius)
    size = (2 * radius + 1, 2 * radius + 1)
    blurred = torch.empty(masks.shape)
    for mask, out in zip(masks.float().numpy(), blurred.numpy(), strict=True):
        cv2.GaussianBlur(mask[0], size, sigma, out[0])
        np.minimum(out, 1, out=out)  # the weights of a kernel only nearly sum to 1
    return blurred.to(masks.dtype)


def _blur_torch(masks: Tensor, sigma: float, radius: int) -> Tensor:
    offsets = torch.arange(-radius, radius + 1, device=masks.device, dtype=masks.dtype)
    kernel = (offsets.square() / (-2 * sigma**2)).softmax(0)
    masks = F.pad(masks, (radius,) * 4, mode="reflect") if radius < min(masks.shape[-2:]) else _reflected(masks, radius)
    masks = F.conv2d(F.conv2d(masks, kernel.reshape(1, 1, 1, -1)), kernel.reshape(1, 1, -1, 1))
    return masks.clamp(max=1)


def _reflected(masks: Tensor, radius: int) -> Tensor:
    """Masks mirrored as often as it takes: PyTorch's mode reflects once."""
    for axis in (2, 3):
        index = torch.arange(-radius, masks.shape[axis] + radius, device=masks.device)
        period = max(1, 2 * (masks.shape[axis] - 1))
        index = index.remainder(period)
        masks = masks.index_select(axis, torch.minimum(index, period - index))
    return masks
