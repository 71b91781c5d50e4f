"""Prefetch an iterable in a background thread."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")

_END = object()


@contextmanager
def prefetch(iterable: Iterable[Item], depth: int) -> Iterator[Iterator[Item]]:
    """`with prefetch(iterable, depth) as items`: up to `depth` items are queued while one more is produced.

    An error rises in the consumer, in place of the item that failed. Leaving the `with` calls the iterable's `close`, if it has
    one, in the thread, and ends the thread.
    """
    iterator = iter(iterable)
    with ThreadPoolExecutor(1, "codeformer prefetch") as thread:
        queued: deque[Future[Any]] = deque(thread.submit(next, iterator, _END) for _ in range(depth + 1))

        def items() -> Iterator[Item]:
            while (item := queued.popleft().result()) is not _END:
                queued.append(thread.submit(next, iterator, _END))
                yield item
                del item  # no reference is kept while the next one is awaited

        try:
            yield items()
        finally:
            for future in queued:
                future.cancel()
            thread.submit(getattr(iterable, "close", lambda: None)).result()
