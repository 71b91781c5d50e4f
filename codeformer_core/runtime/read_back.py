"""Read what a device calculated: each read makes the host wait for it, so several tensors come in one copy."""

import torch
from torch import Tensor


def read_back(*tensors: Tensor) -> list[Tensor]:
    """Tensors of one type and device on the CPU, in one copy; those on the CPU as they are."""
    if not tensors or tensors[0].device.type == "cpu":
        return list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    values = flat.cpu() if flat.numel() else flat.new_zeros(0, device="cpu")
    parts = values.split([tensor.numel() for tensor in tensors])
    return [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
