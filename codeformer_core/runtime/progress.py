"""How long work tells how far it is, and how it is told to stop."""

from collections.abc import Callable

#: tick(done, total): called before the first piece of work, after every piece, and free to raise in order to stop. What a piece
#: is, the caller says: faces, tiles, bytes. A total of 0 is not known.
Tick = Callable[[int, int], None]


#: progress(unit) -> the tick for work that is counted in that unit ("face", "tile", "frame").
Progress = Callable[[str], Tick]


def no_tick(done: int, total: int) -> None:
    """Progress that nobody watches."""


def no_progress(unit: str) -> Tick:
    """Progress in any unit that nobody watches."""
    return no_tick
