"""Work in background threads: prefetch an iterable, or do several items at a time with bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

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


def in_threads(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    needed: Callable[[Item], int],
    budget: int,
    cancel: Callable[[], object],
) -> Generator[Result, None, None]:
    """The results of `work(item)` as they are finished, with so many at work at a time.

    Args:
        needed: the bytes of memory that an item takes while it is worked on.
        budget: what those at work may take together; what needs more is worked on alone.
        cancel: called when the consumer stops early or an item has failed, before those at work are waited for.
    """
    running: dict[Future[Result], int] = {}
    with ThreadPoolExecutor(threads, "codeformer work") as pool:
        try:
            for item in items:
                more = needed(item)
                while running and (len(running) >= threads or sum(running.values()) + more > budget):
                    yield from _finished(running)
                running[pool.submit(work, item)] = more
            while running:
                yield from _finished(running)
        except BaseException:
            cancel()
            raise


def _finished(running: dict[Future[Result], int]) -> Iterator[Result]:
    """Wait for any of the running, and take away those that are finished."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        del running[future]
        yield future.result()
