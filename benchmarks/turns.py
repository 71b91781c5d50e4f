"""Ours and the official code by turns, and what comes of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from .cases import Case
from .workers import Worker


@dataclass(frozen=True)
class Timing:
    """Seconds of one step over all rounds, and bytes.

    Attributes:
        median, least, most: seconds.
        rounds: how many.
        peak: bytes needed at most, beyond what was held before; None where it is not known. Of all steps of a case together.
    """

    median: float
    least: float
    most: float
    rounds: int
    peak: int | None


@dataclass(frozen=True)
class Row:
    """One step of a case: ours, and the official code's when it was run too."""

    step: str
    case: Case
    ours: Timing
    official: Timing | None

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the official code."""
        return self.official.median / self.ours.median if self.official else None


def measure(
    case: Case, workers: Sequence[Worker], rounds: int, seconds: float, tick: Callable[[], object] = lambda: None
) -> list[Row]:
    """The rows of a case.

    Args:
        workers: ours, and the official code's or none. They take turns, so that a machine that slows down slows both.
        rounds: at most so many, after one that does not count.
        seconds: no further round is begun after so many, if there are two.
        tick: called after every round.

    Raises:
        RuntimeError: it cannot be run, in a sentence.
    """
    ready = [worker for worker in workers if worker.prepare(case)]
    for worker in ready:
        worker.round()
    tick()
    taken: list[list[list[float]]] = [[] for _ in ready]  # worker, round, step
    start = time.monotonic()
    for count in range(rounds):
        if count >= 2 and time.monotonic() - start > seconds:
            break
        for worker, times in zip(ready, taken, strict=True):
            times.append(worker.round())
        tick()
    peaks = [worker.peak() for worker in ready]
    timings = [
        [Timing(median(times), min(times), max(times), len(times), peak) for times in zip(*rounds_of_worker, strict=True)]
        for rounds_of_worker, peak in zip(taken, peaks, strict=True)
    ]
    official = timings[1] if len(timings) > 1 else [None] * len(case.steps)
    return [Row(step, case, mine, other) for step, mine, other in zip(case.steps, timings[0], official, strict=True)]
