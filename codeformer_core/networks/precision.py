"""How exactly a network computes: the table of precisions, and which one a device gains from."""

from typing import NamedTuple

import torch
from torch import nn


class Precision(NamedTuple):
    """The types of the two halves of a network.

    Attributes:
        encoder_dtype: of the encoder. Rounding there changes codes, which decide on the face; so the transformer, and the
            layers of the encoder where it changes most (`Encoder.with_dtype`), compute in float32 always.
        generator_dtype: of generator and fusion, which draw the face that was decided on; and of parsers.
    """

    encoder_dtype: torch.dtype
    generator_dtype: torch.dtype


#: bfloat16 and not float16: it has the range of float32, so that no map overflows, and every device that gains from a short
#: type has it. Codes that stay the same, and the distance to "exact": docs/performance.md.
PRECISIONS = {
    "exact": Precision(torch.float32, torch.float32),
    "balanced": Precision(torch.float32, torch.bfloat16),
    "fast": Precision(torch.bfloat16, torch.bfloat16),
}

#: What a user can ask for: a row of the table, or the one that suits the device.
CHOICES = ("auto", *PRECISIONS)


def suited(choice: str, device: torch.device) -> str:
    """The name of a row of `PRECISIONS`: `choice` itself; for "auto" "balanced" where the device gains from it, else "exact".

    Raises:
        ValueError: no such precision.
    """
    if choice not in CHOICES:
        raise ValueError(f"{choice!r} is no precision. Use one of: {', '.join(CHOICES)}.")
    if choice != "auto":
        return choice
    return "balanced" if _gains(device) else "exact"


def check_dtype(network: nn.Module, expected: torch.dtype = torch.float32) -> None:
    """A ValueError for a network that was cast as a whole: what must stay exact does so only by a row of `PRECISIONS`."""
    dtype = next((weights.dtype for weights in network.parameters()), expected)
    if dtype != expected:
        raise ValueError(
            f"Found a {type(network).__name__} with weights of {dtype}. Expected those of {expected}, as they are loaded: "
            'leave out .half() or .to(dtype). A CodeFormer in bfloat16 is load(name, precision="fast").'
        )


def _gains(device: torch.device) -> bool:
    """Whether bfloat16 is known to be much quicker than float32. Each kind of device, and why: docs/performance.md#auto."""
    if device.type == "cuda":
        return torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 0)  # NVIDIA, Ampere
    return device.type == "cpu" and _processor_gains()


def _processor_gains() -> bool:
    """With AMX, and with AVX-512 BF16 on AMD's (which SSE4a tells), whose dot products of bfloat16 have the full rate."""
    if hasattr(torch.cpu, "get_capabilities"):
        has = torch.cpu.get_capabilities()
        return bool(has.get("amx_bf16") or (has.get("avx512_bf16") and has.get("sse4a")))
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # PyTorch 2.6 and later tell no more than this
    return asked is not None and bool(asked())
