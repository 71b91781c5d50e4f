"""A result of `python -m benchmarks gpu`: one line of its table."""

from collections.abc import Sequence
from dataclasses import dataclass

from .report import aligned_text


@dataclass(frozen=True)
class Line:
    """One number, and what it should be.

    Attributes:
        section: the part of the command that found it.
        what: in words.
        value: in `unit`.
        unit: of the value.
        expected: in words, where there is something to expect.
        holds: whether the value is as expected; None where nothing is.
        peak: peak memory in bytes beyond what was in use before, where measured.
    """

    section: str
    what: str
    value: float
    unit: str
    expected: str = ""
    holds: bool | None = None
    peak: int | None = None


def table(lines: Sequence[Line]) -> str:
    """The lines as text."""
    head = ["section", "what", "value", "unit", "MiB", "expected", "holds"]
    rows = [
        [
            line.section,
            line.what,
            f"{line.value:.4g}",
            line.unit,
            "" if line.peak is None else f"{line.peak / 2**20:.0f}",
            line.expected,
            {True: "yes", False: "NO", None: ""}[line.holds],
        ]
        for line in lines
    ]
    return aligned_text([head, *rows], right={2, 4})
