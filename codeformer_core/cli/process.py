"""What the command line sets up in a process of its own: how threads wait, memory that is kept, streams that were closed."""

import ctypes
import getpass
import os
import platform
import sys
import tempfile

#: How often a thread of GNU OpenMP looks for work before it sleeps. By default it keeps a core from other programs and from
#: OpenCV's threads for milliseconds: docs/performance.md has what was measured.
SPINS = "1000"

#: Names of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def let_threads_sleep() -> None:
    """Set how long OpenMP's threads wait, unless the user has; it is read when PyTorch is imported, which is still to come."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def name_user() -> None:
    """Call a user who is only a number, as with `docker run --user 4242`, by it: PyTorch names a cache after users or fails."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):  # of Python up to 3.12, from 3.13 on, on Windows
        os.environ["USER"] = str(os.getuid()) if hasattr(os, "getuid") else "user"


def missing_folder(temporary: bool) -> str | None:
    """Which folder is missing that libraries need, in a sentence: MKL the current one, PyTorch one for `temporary` files."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the folder that the terminal is in has been removed: change to another one with `cd`."
    try:
        if temporary:
            tempfile.gettempdir()
    except FileNotFoundError:
        return "there is no folder for temporary files that can be written to. Name one in the environment, as TMPDIR."
    return None


def open_closed_streams() -> None:
    """Open the null device for standard streams that were closed (`2>&-`), before a file of ours gets one of their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def keep_memory() -> None:
    """Let glibc take large blocks from its heap and never give the heap back.

    A part of the time of a network on the CPU goes into page faults otherwise. It is for the whole process and costs up to 1 GB
    of resident memory, so it is for our own command line only. An allocator that is set up in the environment is left alone.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if platform.libc_ver()[0] == "glibc" and not chosen:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_ARENA_MAX, 1)  # those of other threads give back what is large
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
