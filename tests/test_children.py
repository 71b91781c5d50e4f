"""Tests that send signals end wherever they run: under nohup, and as a background job of a shell, which ignore some."""

import os
import signal
import sys

import pytest
from children import child

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no signals that a process can ignore")


def test_a_child_heeds_signals_that_the_runner_ignores():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with child([sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) in (130, -signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_child_that_does_not_end_is_killed():
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    with child([sys.executable, "-c", code]) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
    assert process.returncode == -signal.SIGKILL
