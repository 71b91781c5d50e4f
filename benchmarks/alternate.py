"""Run a case in turns, this project and the official code round by round, and summarise the times."""

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
        rounds: number of rounds.
        peak: peak memory in bytes beyond what was in use before, of all steps of a case together; None where unknown.
    """

    median: float
    least: float
    most: float
    rounds: int
    peak: int | None


@dataclass(frozen=True)
class Row:
    """One step of a case, with the official code's timing if it was run too."""

    step: str
    case: Case
    ours: Timing
    official: Timing | None

    @property
    def ratio(self) -> float | None:
        """Speed-up over the official code."""
        return self.official.median / self.ours.median if self.official else None


def measure(
    case: Case, workers: Sequence[Worker], rounds: int, seconds: float, tick: Callable[[], object] = lambda: None
) -> list[Row]:
    """The rows of a case.

    Args:
        workers: this project's, and optionally the official code's; alternating, so that a slower machine slows both.
        rounds: at most, after one warm-up.
        seconds: time limit, checked after two rounds.
        tick: called after every round.

    Raises:
        RuntimeError: the case cannot be run.
    """
    ready = [worker for worker in workers if worker.prepare(case)]
    for worker in ready:
        worker.round()
    tick()
    times: list[list[list[float]]] = [[] for _ in ready]  # worker, round, step
    start = time.monotonic()
    for count in range(rounds):
        if count >= 2 and time.monotonic() - start > seconds:
            break
        for worker, rounds_of_worker in zip(ready, times, strict=True):
            rounds_of_worker.append(worker.round())
        tick()
    peaks = [worker.peak() for worker in ready]
    timings = [
        [Timing(median(step), min(step), max(step), len(step), peak) for step in zip(*rounds_of_worker, strict=True)]
        for rounds_of_worker, peak in zip(times, peaks, strict=True)
    ]
    official = timings[1] if len(timings) > 1 else [None] * len(case.steps)
    return [Row(step, case, mine, other) for step, mine, other in zip(case.steps, timings[0], official, strict=True)]
