"""Real-time priority that a library takes is given back, also where two threads work at once."""

import os
import sys
import threading

import pytest

from codeformer_core.runtime.scheduling import without_realtime


def may_be_real_time() -> bool:
    """Not everywhere where it is root: containers may lack the capability."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not may_be_real_time(), reason="needs Linux, and the right to be real-time, as root has it"
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
