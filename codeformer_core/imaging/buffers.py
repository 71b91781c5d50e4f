"""Buffers on transparent huge pages, and strips of an image that stay below ATen's grain size (single-threaded)."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

#: Numbers that torch works through in one thread of a CPU (below at::internal::GRAIN_SIZE). More are shared out to threads that
#: wait for each other: for pieces of a picture that costs more than it brings, and far more when a core is busy elsewhere.
GRAIN_SIZE = 32_000


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


def strips(image: Tensor) -> Iterator[slice]:
    """The rows of an image (C, H, W) in the pieces that it is worked through in: small ones on a CPU, the whole elsewhere."""
    channels, height, width = image.shape
    rows = max(1, GRAIN_SIZE // (channels * width)) if image.device.type == "cpu" else height
    return (slice(start, start + rows) for start in range(0, height, rows))
