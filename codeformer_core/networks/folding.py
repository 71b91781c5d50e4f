"""Weights in the form that is quickest to compute with: repeated pixels and the convolution behind them become one step."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_UPSAMPLES = re.compile(r"generator\.blocks\.\d+\.conv\.weight")


def fold_upsampling(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict for a generator that is `folded`: its 3 x 3 kernels behind repeated pixels as transposed 4 x 4 kernels.

    A pixel that is repeated twice by twice and then convolved spreads over 4 x 4 pixels: by the kernel, turned round and added
    to itself at the four places of the repetition. What has another shape is left to the strict loading.
    """
    return {
        key: folded_kernel(value.float()) if _UPSAMPLES.fullmatch(key) and value.ndim == 4 else value
        for key, value in state.items()
    }


def folded_kernel(weight: Tensor) -> Tensor:
    """The kernel (out, in, 3, 3) of a convolution behind repeated pixels -> that of the transposed one (in, out, 4, 4)."""
    return _spread(_spread(weight, 2), 3).flip(2, 3).transpose(0, 1)


def _spread(kernel: Tensor, axis: int) -> Tensor:
    """A kernel with three taps along an axis as the four that a repeated pixel meets; no product, which might be rounded."""
    before, at, after = kernel.unbind(axis)
    return torch.stack([before, before + at, at + after, after], axis)
