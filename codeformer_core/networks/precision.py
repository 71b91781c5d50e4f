"""How exactly a network computes: the table of precisions, and which one a device gains from."""

from typing import NamedTuple

import torch


class Precision(NamedTuple):
    """The types of the two halves of a network.

    Attributes:
        encoder_dtype: of encoder and transformer, which decide which face it will be. Rounding there changes codes.
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


def _gains(device: torch.device) -> bool:
    """Whether bfloat16 is much quicker than float32: products of it in hardware, not emulated."""
    if device.type == "cuda":
        return torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere; AMD is untested
    # PyTorch has no public name for it before 2.6; without the instructions the conversions cost more than they save.
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and asked is not None and bool(asked())
