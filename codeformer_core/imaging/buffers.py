"""Buffers on transparent huge pages, and strips of an image below ATen's grain size (single-threaded)."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

#: Elements that torch processes in one CPU thread (below at::internal::GRAIN_SIZE). More are split among threads that wait for
#: each other: for strips of an image that costs more than it gains, and far more when a core is busy with something else.
GRAIN_SIZE = 32_000


def empty(like: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """`like.new_empty(shape, dtype=dtype)`, four times as fast to fill on a CPU.

    NumPy asks Linux for transparent huge pages where a block has 4 MB or more. PyTorch's blocks come in pages of 4 kB, and
    faulting those in takes longer than copying an image into them (docs/performance.md).
    """
    return _wrapped(np.empty, shape, dtype or like.dtype) if like.device.type == "cpu" else like.new_empty(shape, dtype=dtype)


def zeros(like: Tensor, *shape: int) -> Tensor:
    """`like.new_zeros(shape)`; on a CPU pages that are never touched are never faulted in."""
    return _wrapped(np.zeros, shape, like.dtype) if like.device.type == "cpu" else like.new_zeros(shape)


def _wrapped(make: Callable[..., np.ndarray], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    bits = make(shape, f"i{dtype.itemsize}")  # NumPy has no bfloat16, but integers of its size
    return torch.from_numpy(bits).view(dtype)


def strips(image: Tensor) -> Iterator[slice]:
    """Slices of the rows of an image (C, H, W): strips below the grain size on a CPU, the whole image on other devices."""
    channels, height, width = image.shape
    rows = max(1, GRAIN_SIZE // (channels * width)) if image.device.type == "cpu" else height
    return (slice(start, start + rows) for start in range(0, height, rows))
