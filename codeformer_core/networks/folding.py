"""Fold nearest-neighbour upsampling and the convolution after it into one transposed convolution."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_UPSAMPLES = re.compile(r"generator\.blocks\.\d+\.conv\.weight")


def fold_upsampling(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict for a generator that is `folded`: its 3 x 3 kernels after upsampling as transposed 4 x 4 kernels.

    A pixel that is repeated 2 x 2 times and then convolved spreads over 4 x 4 pixels: by the flipped kernel, summed over the
    four positions of the repetition. Weights of another shape are left for strict loading to refuse.
    """
    return {
        key: folded_kernel(value.float()) if _UPSAMPLES.fullmatch(key) and value.ndim == 4 else value
        for key, value in state.items()
    }


def folded_kernel(weight: Tensor) -> Tensor:
    """The kernel (out, in, 3, 3) of a convolution after nearest upsampling -> that of the transposed one (in, out, 4, 4)."""
    return _widen(_widen(weight, 2), 3).flip(2, 3).transpose(0, 1)


def _widen(kernel: Tensor, axis: int) -> Tensor:
    """A kernel with three taps along an axis as the four that a repeated pixel meets; sums only: nothing rounds to TF32."""
    before, at, after = kernel.unbind(axis)
    return torch.stack([before, before + at, at + after, after], axis)
