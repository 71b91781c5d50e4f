"""Seconds and bytes on any device."""

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path

import torch

_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def now(device: torch.device) -> float:
    """Seconds, when everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def timed(call: Callable[[], object], device: torch.device) -> float:
    """How many seconds a call takes."""
    start = now(device)
    call()
    return now(device) - start


class Peak:
    """How much memory was needed at most since this was made, beyond what was held then.

    On CUDA what torch allocated there; on a CPU the process's resident memory, which Linux alone tells.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        elif _REFERENCES.exists():
            _give_back()
            _REFERENCES.write_text("5")  # Linux, proc(5): the highest resident memory is counted from here on
            self._before = _resident("VmRSS")

    def bytes(self) -> int | None:
        """The peak so far; None where it is not known."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        return max(0, _resident("VmHWM") - self._before) if _REFERENCES.exists() else None


def _resident(field: str) -> int:
    return next(int(line.split()[1]) * 1024 for line in _STATUS.read_text().splitlines() if line.startswith(field))


def _give_back() -> None:
    """Let the allocator return what it keeps, so that it counts again when it is used."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)
