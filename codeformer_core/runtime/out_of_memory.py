"""Recognise that a device ran out of memory, whichever device it is."""

from contextlib import suppress
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
    "XPU driver": Signature(RuntimeError, "ur_result_error_out_of_device_memory"),
    "XPU driver, when a kernel is launched": Signature(RuntimeError, "ur_result_error_out_of_resources"),
    "cuBLAS": Signature(RuntimeError, "cublas_status_alloc_failed"),
    "cuDNN": Signature(RuntimeError, "cudnn_status_alloc_failed"),
    "cuSOLVER": Signature(RuntimeError, "cusolver_status_alloc_failed"),
    "hipBLAS and rocBLAS": Signature(RuntimeError, "hipblas_status_alloc_failed"),
    "MIOpen": Signature(RuntimeError, "miopenstatusallocfailed"),
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
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    for module in (torch.cuda, getattr(torch, "xpu", None)):  # XPU: since PyTorch 2.3
        if module is not None and module.is_initialized():
            module.empty_cache()


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device; None where PyTorch cannot tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "xpu" and hasattr(torch.xpu, "mem_get_info"):  # since PyTorch 2.6
        with suppress(RuntimeError):  # some of these devices do not report it
            return torch.xpu.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return None
