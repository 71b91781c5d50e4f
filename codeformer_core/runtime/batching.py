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

#: Begins the message of an out-of-memory error that smaller batches cannot help.
TOO_LARGE = (
    "A single face or image does not fit into the free memory, expected room for at least one. Close other programs that use "
    "the device, set the precision to balanced or fast, lower the search size, or use another device such as the CPU."
)


def largest_batch(memory_used: Callable[[int], int], free: int, limit: int = MAX_BATCH) -> int:
    """Images in one call of a network: `limit`, halved until what they need fits into `free` bytes; at least 1."""
    while limit > 1 and memory_used(limit) > free:
        limit //= 2
    return limit


def automatic_batch(network: Any) -> int:
    """Crops in one call of a restorer: its `batch` (the host's wrappers), else 1 on a CPU, else what fits into free memory."""
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
    """The most items in one call, for one execution: halved when memory runs out. The next execution begins with a new one."""

    def __init__(self, most: int = MAX_BATCH) -> None:
        self.most = most

    def run(self, call: Callable[[slice], T], count: int) -> list[T]:
        """The results of `run_in_batches` in a list, in batches of up to `most`."""
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
        batch: called before each part: how many items fit into the memory that is free now.
        limit: shared by the calls of one execution, so that what ran out of memory once is not tried again; a new one if None.
        prepare: called with the size before each part, to place models or to look for Cancel; may raise to stop.
        out_of_memory: recognises such an error; others rise as they are.
        release: called after one, before the next attempt.

    Yields:
        Each part and its result, in order.

    Raises:
        The error itself, when even a single item does not fit; its message then begins with `TOO_LARGE`. It is not tried
        again by an outer call of this function, such as a video stage around a restorer that makes batches itself.
    """
    limit = BatchLimit(max(1, count)) if limit is None else limit
    start = 0
    while start < count:
        size = max(1, min(batch(), limit.most, count - start))
        prepare(size)
        part = slice(start, start + size)
        try:
            result = call(part)
        except (RuntimeError, MemoryError) as error:
            if str(error).startswith(TOO_LARGE) or not out_of_memory(error):
                raise
            if size == 1:
                error.args = (f"{TOO_LARGE} The device reported: {error}",)  # in place: the host asks for type and error code
                raise
        else:
            yield part, result
            start += size
            continue
        # Outside the except block, where the traceback and with it the tensors of the failed call are released.
        release()
        limit.most = size // 2
        log.warning("Out of memory with %d at once; going on with %d.", size, limit.most)
