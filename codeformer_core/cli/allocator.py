"""The process keeps memory that it has used, so that large maps are not fetched from the system page by page each time."""

import ctypes
import os
import platform

#: Names of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_memory() -> bool:
    """Let glibc take large blocks from its heap and never give the heap back; whether it was told so.

    A part of the time of a network on the CPU goes into page faults otherwise. It is for the whole process and costs up to 1 GB
    of resident memory, so it is for our own command line only. An allocator that is set up in the environment is left alone.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if chosen or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
