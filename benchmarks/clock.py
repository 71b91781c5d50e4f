"""Wall time and peak memory on any device.

`torch.utils.benchmark.Timer` does not fit single alternating rounds: each `timeit` runs two warm-ups of its own, on one thread
unless told otherwise, and does not synchronise MPS.
"""

import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path

import torch

_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def now(device: torch.device) -> float:
    """Seconds of a monotonic clock, after synchronising the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Wall time of a call in seconds."""
    start = now(device)
    call()
    return now(device) - start


class Peak:
    """Peak memory since the instance was made, beyond the memory in use at that time.

    On CUDA what torch's allocator counts; on a CPU the resident set size (Linux only).
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        elif _REFERENCES.exists():
            _trim_heap()
            _REFERENCES.write_text("5")  # Linux, proc(5): resets the peak resident set size, VmHWM
            self._before = _resident("VmRSS")

    def bytes(self) -> int | None:
        """The peak so far; None on other devices and systems."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        return max(0, _resident("VmHWM") - self._before) if _REFERENCES.exists() else None


def _resident(field: str) -> int:
    return next(int(line.split()[1]) * 1024 for line in _STATUS.read_text().splitlines() if line.startswith(field))


def _trim_heap() -> None:
    """Return free heap memory to the system, so that using it again counts."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)
