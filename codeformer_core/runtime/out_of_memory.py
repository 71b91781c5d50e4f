"""Recognise that a device ran out of memory, whichever device it is."""

from typing import NamedTuple

import torch


class Signature(NamedTuple):
    """How one allocator says that there is no memory left.

    Attributes:
        kind: the class of its exceptions.
        words: what their message contains, in lower case; an empty string where the class alone says it.
    """

    kind: type[BaseException]
    words: str


#: Allocator -> its signature. Messages are those of PyTorch 2.2 to 2.15 and of the libraries that it calls.
SIGNATURES: dict[str, Signature] = {
    "CUDA, ROCm and XPU caching allocator": Signature(torch.cuda.OutOfMemoryError, ""),
    "CUDA driver": Signature(RuntimeError, "cuda error: out of memory"),
    "CUDA, told by the host": Signature(RuntimeError, "cuda out of memory"),
    "ROCm": Signature(RuntimeError, "hip out of memory"),
    "ROCm driver": Signature(RuntimeError, "hip error: out of memory"),
    "XPU": Signature(RuntimeError, "xpu out of memory"),
    "MPS": Signature(RuntimeError, "mps backend out of memory"),
    "cuBLAS": Signature(RuntimeError, "cublas_status_alloc_failed"),
    "cuDNN": Signature(RuntimeError, "cudnn_status_alloc_failed"),
    "CPU on Linux and macOS": Signature(RuntimeError, "can't allocate memory"),
    "CPU on Windows": Signature(RuntimeError, "not enough memory"),
    "Python and NumPy": Signature(MemoryError, ""),
}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there is no memory left, by the table."""
    text = str(error).lower()
    return any(isinstance(error, kind) and words in text for kind, words in SIGNATURES.values())


def free_caches() -> None:
    """Give memory that PyTorch caches but does not use back to the devices that have such a cache."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    xpu = getattr(torch, "xpu", None)  # since PyTorch 2.3
    if xpu is not None and xpu.is_initialized():
        xpu.empty_cache()


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device; None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return None
