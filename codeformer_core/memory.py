"""Memory for pictures: on Linux, fetched from the system in large pages."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def empty(like: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """`like.new_empty(shape, dtype=dtype)`, four times as quick to fill on a CPU.

    NumPy asks Linux for large pages where a block has 4 MB or more. PyTorch's blocks come in pages of 4 kB, and fetching those
    takes longer than copying a picture into them (docs/performance.md).
    """
    return _wrapped(np.empty, shape, dtype or like.dtype) if like.device.type == "cpu" else like.new_empty(shape, dtype=dtype)


def zeros(like: Tensor, *shape: int) -> Tensor:
    """`like.new_zeros(shape)`; on a CPU what is never touched is never fetched."""
    return _wrapped(np.zeros, shape, like.dtype) if like.device.type == "cpu" else like.new_zeros(shape)


def _wrapped(make: Callable[..., np.ndarray], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    bits = make(shape, f"i{dtype.itemsize}")  # NumPy has no bfloat16, but whole numbers of its size
    return torch.from_numpy(bits).view(dtype)
