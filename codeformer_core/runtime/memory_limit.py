"""How much memory this process may take, in a container or a job (cgroups) too."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MEMBERSHIP, _CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")  # on Linux alone


def memory_limit() -> int:
    """Bytes: the machine's memory, or less where the kernel ends the process for taking more. On Windows it is not known."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else sys.maxsize
    return min([machine, *_of_cgroups()])


def _of_cgroups() -> Iterator[int]:
    """The limits of the groups that this process is in, and of those around them (cgroups(7), versions 1 and 2)."""
    for line in _MEMBERSHIP.read_text().splitlines() if _MEMBERSHIP.is_file() else ():
        _, controllers, place = line.split(":", 2)
        if "memory" not in controllers.split(",") and controllers:
            continue
        root, name = (_CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (_CGROUPS, "memory.max")
        group = root / place.lstrip("/")  # a container may see its own group at the root, beside the host's name for it
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):  # no such group here; or no limit, which is "max"
                yield int((folder / name).read_text())
