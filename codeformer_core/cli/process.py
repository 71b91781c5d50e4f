"""What the command line sets up in a process of its own: how threads wait, and streams that were closed."""

import os
import sys

#: How often a thread of GNU OpenMP looks for work before it sleeps. By default it keeps a core from other programs and from
#: OpenCV's threads for milliseconds: docs/performance.md has what was measured.
SPINS = "1000"


def let_threads_sleep() -> None:
    """Set how long OpenMP's threads wait, unless the user has; it is read when PyTorch is imported, which is still to come."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def open_closed_streams() -> None:
    """Open the null device for standard streams that were closed (`2>&-`), before a file of ours gets one of their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
