"""Metrics of `claims` beside those of `codeformer_core.evaluation`: SSIM of the luma, crispness, patches."""

import torch.nn.functional as F
from torch import Tensor

from codeformer_core.evaluation import metrics
from codeformer_core.training.degrade import LUMA


def ssim(images: Tensor, clear: Tensor) -> Tensor:
    """Structural similarity of the luma of images (N, 3, S, S) in [0, 1]: (N,)."""
    return metrics.ssim(_luma(images), _luma(clear))


def crispness(images: Tensor, clear: Tensor) -> Tensor:
    """Mean absolute luma gradient of images (N, 3, S, S), divided by that of the clear ones: (N,); 1 is as crisp."""
    return _gradient(images) / _gradient(clear)


def patches(images: Tensor, side: int = 8) -> Tensor:
    """Luma of images (N, 3, S, S) in non-overlapping squares: (N, T, side * side)."""
    return F.unfold(_luma(images), side, stride=side).transpose(1, 2)


def _luma(images: Tensor) -> Tensor:
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _gradient(images: Tensor) -> Tensor:
    luma = _luma(images)
    return luma.diff(dim=2).abs().mean(dim=(1, 2, 3)) + luma.diff(dim=3).abs().mean(dim=(1, 2, 3))
