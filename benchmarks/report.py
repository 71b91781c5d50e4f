"""Results as a text table and as JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .alternate import Row, Timing

_CASE = ("step", "device", "precision", "picture", "faces", "batch")

_OURS = ("median", "least - most", "memory")

_OFFICIAL = ("official", "memory", "ratio")

_LEFT_ALIGNED = 4  # columns

_PACKAGES = ("codeformer-suite", "torchvision", "opencv-python", "numpy", "av")


def heading(about: dict[str, Any]) -> str:
    """The machine, the versions, and the units of the table."""
    machine = about["machine"]
    parts = [
        machine["processor"],
        f"{machine['cores']} cores",
        f"{machine['threads']} threads",
        *machine["cards"],
        machine["system"],
    ]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{', '.join(parts)}\n{versions}; allocator {about['allocator']}; {about['time']}\n"
        "Times are milliseconds of one call (of one frame for videos), memory is the peak in MiB beyond what was in use before."
    )


def table(rows: Sequence[Row]) -> str:
    """A line for each row, and columns for the official code where it was run."""
    official = any(row.official for row in rows)
    lines = [[*_CASE, *_OURS, *(_OFFICIAL if official else ())]]
    lines += [_line(row, official) for row in rows]
    return aligned_text(lines, right=set(range(_LEFT_ALIGNED, len(lines[0]))))


def aligned_text(lines: Sequence[Sequence[str]], right: set[int]) -> str:
    """Cells in columns, those of the columns `right` (by number) aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _line(row: Row, official: bool) -> list[str]:
    case, ours, theirs = row.case, row.ours, row.official
    line = [row.step, case.device, case.precision or "", case.size_text, str(case.faces or ""), str(case.batch or "")]
    line += [_ms(ours.median), f"{_ms(ours.least)} - {_ms(ours.most)}", _mib(ours)]
    if official:
        line += [_ms(theirs.median), _mib(theirs), f"{row.ratio:.2f}"] if theirs else [""] * len(_OFFICIAL)
    return line


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" if seconds >= 0.1 else f"{seconds * 1000:.3g}"


def _mib(timing: Timing) -> str:
    return "" if timing.peak is None else f"{timing.peak / 2**20:.0f}"


def content(rows: Sequence[Row], about: dict[str, Any]) -> dict[str, Any]:
    """Content of the JSON file: machine, versions, and every row in seconds and bytes."""
    return about | {"rows": [_row(row) for row in rows]}


def _row(row: Row) -> dict[str, Any]:
    case = asdict(row.case)
    case.pop("name")
    official = row.official and asdict(row.official)
    return {"step": row.step, **case, "ours": asdict(row.ours), "official": official, "ratio": row.ratio}


def about(devices: Sequence[str], allocator: str) -> dict[str, Any]:
    """The machine, the versions and the settings that times depend on."""
    import torch

    cards = [torch.cuda.get_device_name(device) for device in devices if device.startswith("cuda")]
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "cards": cards,
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__}
        | {name: found for name in _PACKAGES if (found := _version(name))},
        "allocator": allocator,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    listing = Path("/proc/cpuinfo")  # Linux, where platform.processor() is empty
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
