"""Real-time priority that a library takes is given back, also where two threads work at once."""

import os
import sys
import threading

import pytest

from codeformer_core.runtime.scheduling import without_realtime

pytestmark = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0 or sys.platform != "linux", reason="needs root on Linux"
)


def test_a_thread_that_begins_while_another_is_real_time_does_not_make_it_so_again():
    """Of two videos that were encoded at once, the thread of the first stayed real-time."""
    raised, seen, given_back, left = (threading.Event() for _ in range(4))
    policies = []

    def first() -> None:
        with without_realtime():
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # as SVT-AV1 does
            raised.set()
            seen.wait(10)
        given_back.set()
        left.wait(10)
        policies.append(os.sched_getscheduler(0))

    def second() -> None:
        raised.wait(10)
        with without_realtime():
            seen.set()
            given_back.wait(10)
        left.set()

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert policies == [os.SCHED_OTHER]
