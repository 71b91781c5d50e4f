"""Takes back the real-time priority that a library gives its threads and the caller's."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")  # on Linux alone


@contextmanager
def without_realtime() -> Iterator[None]:
    """Threads that become real-time inside get their policy back, and those that begin inside as such get the caller's.

    SVT-AV1 gives its threads and the caller's SCHED_FIFO with the highest priority where it may: as root on Linux, which is
    usual in containers. Nothing else runs while these do, so that the machine stands still, and what the caller starts
    afterwards inherits it. Other changes are left alone: another thread may have taken its priority back meanwhile.
    """
    before = _policies()
    try:
        yield
    finally:
        for thread, policy in _policies().items():
            wanted = before.get(thread) or before[threading.get_native_id()]
            if policy != wanted and policy[1] > 0:  # real-time: others have no priority
                with suppress(OSError):  # it has ended
                    os.sched_setscheduler(thread, wanted[0], os.sched_param(wanted[1]))


def _policies() -> dict[int, tuple[int, int]]:
    """Policy and priority of each thread of this process, by its id; none but on Linux."""
    found = {}
    for thread in map(int, os.listdir(_THREADS) if _THREADS.is_dir() else ()):
        with suppress(OSError):  # it has ended
            found[thread] = os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
    return found
