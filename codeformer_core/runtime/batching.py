"""Run work in batches that fit into memory: sized before each call, halved when memory runs out all the same."""

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import torch

from .out_of_memory import free_caches, free_memory, is_out_of_memory

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The largest number of images that one call of a network gets on an accelerator: beyond it a call is no faster.
MAX_BATCH = 8


def largest_batch(memory_used: Callable[[int], int], free: int, limit: int = MAX_BATCH) -> int:
    """How many images one call of a network takes: `limit`, halved until what they need fits into `free` bytes; at least 1."""
    while limit > 1 and memory_used(limit) > free:
        limit //= 2
    return limit


def automatic_batch(network: Any) -> int:
    """How many crops one call of a restorer takes: what it says itself, else 1 on a CPU, else what fits into free memory.

    Args:
        network: a restorer; the host's wrappers have `batch`, bare networks have `side` and `memory_used`.
    """
    if hasattr(network, "batch"):
        return network.batch
    if not isinstance(network, torch.nn.Module):
        return 1
    device = next((parameter.device for parameter in islice(network.parameters(), 1)), torch.device("cpu"))
    free = free_memory(device)
    if free is None:
        return 1
    side: int = network.side  # pyright: ignore[reportAssignmentType]
    return largest_batch(lambda count: network.memory_used(count, side, side), free)  # pyright: ignore[reportCallIssue]


class BatchLimit:
    """The largest batch of one execution: halved when memory runs out. The next execution begins with a new one.

    Attributes:
        most: items in one call.
    """

    def __init__(self, most: int = MAX_BATCH) -> None:
        self.most = most

    def run(self, call: Callable[[slice], T], count: int) -> list[T]:
        """The results of `run_in_batches` in a list, for batches of a fixed size."""
        return [result for _, result in run_in_batches(call, count, lambda: self.most, limit=self)]


def run_in_batches(
    call: Callable[[slice], T],
    count: int,
    batch: Callable[[], int],
    *,
    limit: BatchLimit | None = None,
    prepare: Callable[[int], None] = lambda size: None,
    out_of_memory: Callable[[BaseException], bool] = is_out_of_memory,
    release: Callable[[], None] = free_caches,
) -> Iterator[tuple[slice, T]]:
    """`call(part)` for consecutive parts of 0 to `count`; a part that runs out of memory is tried again in halves.

    Args:
        batch: called before each part: how many items suit the memory that is free now.
        limit: shared by the calls of one execution, so that what ran out of memory once is not tried again; a new one if None.
        prepare: called with the size before each part, to place models or to look for Cancel; may raise to stop.
        out_of_memory: recognises such an error; others rise as they are.
        release: called after one, before the next attempt.

    Yields:
        Each part and its result, in order.

    Raises:
        The error itself, when even a single item does not fit.
    """
    limit = BatchLimit(max(1, count)) if limit is None else limit
    start = 0
    while start < count:
        size = max(1, min(batch(), limit.most, count - start))
        prepare(size)
        results = _attempt(call, slice(start, start + size), out_of_memory)
        if results:
            yield slice(start, start + size), results[0]
            start += size
        else:  # only now is the traceback gone, and with it the tensors of the failed call
            release()
            limit.most = size // 2
            log.warning("Out of memory with %d at once; going on with %d.", size, limit.most)


def _attempt(call: Callable[[slice], T], part: slice, out_of_memory: Callable[[BaseException], bool]) -> list[T]:
    """The result of a call in a list, which is empty when memory ran out."""
    try:
        return [call(part)]
    except (RuntimeError, MemoryError) as error:
        if part.stop - part.start == 1 or not out_of_memory(error):
            raise
        return []
