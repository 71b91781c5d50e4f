"""Copies between host and device: few, of few bytes, and from and to pinned memory where the device is CUDA."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

#: Bytes that are pinned at once, at most: PyTorch keeps pinned memory until the process ends, and a system has little of it.
MOST_PINNED = 1 << 26


def read_back(*tensors: Tensor) -> list[Tensor]:
    """Tensors of one type and device on the CPU, in one copy, since each makes the host wait; those on the CPU as they are."""
    if not tensors or tensors[0].device.type == "cpu":
        return list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    parts = _on_host(flat.numel(), flat.dtype, flat.device).copy_(flat).split([tensor.numel() for tensor in tensors])
    return [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def upload(arrays: Sequence[np.ndarray], device: torch.device | str) -> list[Tensor]:
    """Copies of samples, all uint8 or all uint16, on a device: in one copy, for which the host does not wait on CUDA.

    Returns:
        Tensors of uint8; or of int16 with the bits of uint16, with which PyTorch does not compute: see `as_float`.
    """
    device, sizes = torch.device(device), [array.size for array in arrays]
    flat = _on_host(sum(sizes), torch.uint8 if arrays[0].itemsize == 1 else torch.int16, device)
    for array, part in zip(arrays, flat.split(sizes), strict=True):
        part.numpy().view(array.dtype.newbyteorder("=")).reshape(array.shape)[...] = array
    parts = flat.to(device, non_blocking=device.type == "cuda").split(sizes)
    return [part.reshape(array.shape) for array, part in zip(arrays, parts, strict=True)]


def numbers(values: Sequence[float], device: torch.device | str) -> Tensor:
    """Python numbers as a tensor (N,) of float32 on a device.

    On CUDA without a copy, which would make the host wait: as arguments of a kernel, which takes some 100. Elsewhere that would
    be as many kernels.
    """
    if torch.device(device).type != "cuda" or not values:
        return torch.tensor(values, dtype=torch.float32, device=device)
    made = torch.zeros(len(values), dtype=torch.float32, device=device)
    torch._foreach_add_(list(made.unbind()), list(values))  # pyright: ignore[reportPrivateImportUsage] - as torch.optim
    return made


def as_float(samples: Tensor) -> Tensor:
    """The values of samples as `upload` gives them: a new tensor of float32."""
    values = samples.float()
    return values.add_(samples < 0, alpha=2**16) if samples.dtype == torch.int16 else values


def read_samples(values: Sequence[Tensor], bits: int) -> list[np.ndarray]:
    """Float32 values, rounded half to even and clipped to `bits`, as uint8 or uint16: copied as such, all in one copy."""
    rounded = [value.round().clamp(0, 2**bits - 1) for value in values]
    if bits <= 8:
        return [part.numpy() for part in read_back(*(value.to(torch.uint8) for value in rounded))]
    return [part.numpy().view(np.uint16) for part in read_back(*(value.to(torch.int32).to(torch.int16) for value in rounded))]


def _on_host(size: int, kind: torch.dtype, device: torch.device) -> Tensor:
    """A buffer of so many elements for copies from or to a device."""
    pinned = device.type == "cuda" and 0 < size * kind.itemsize <= MOST_PINNED
    try:
        return torch.empty(size, dtype=kind, pin_memory=pinned)
    except RuntimeError:  # some systems, such as WSL, pin little
        return torch.empty(size, dtype=kind)
