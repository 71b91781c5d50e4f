"""Progress callbacks: how far the work is, and how it is cancelled."""

from collections.abc import Callable

#: tick(done, total): called before the first item and after each; may raise to cancel. Items are faces, tiles, bytes, as the
#: caller says. A total of 0 is not known.
Tick = Callable[[int, int], None]

#: progress(unit) -> the tick for work that is counted in that unit ("face", "tile", "frame").
Progress = Callable[[str], Tick]


def no_tick(done: int, total: int) -> None:
    """A tick that does nothing."""


def no_progress(unit: str) -> Tick:
    """Progress in any unit, not reported."""
    return no_tick
