"""How many images one call of a network takes."""

from collections.abc import Callable

#: The largest number of pictures that one call of a network gets on an accelerator: beyond it a call is no faster.
MAX_BATCH = 8


def largest_batch(memory_used: Callable[[int], int], free: int, most: int = MAX_BATCH) -> int:
    """How many pictures one call of a network takes: `most`, halved until what they need fits into `free` bytes; at least 1."""
    while most > 1 and memory_used(most) > free:
        most //= 2
    return most
