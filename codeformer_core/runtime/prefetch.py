"""Prefetch an iterable in a daemon thread, through a bounded queue."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

_POLL = 0.1  # seconds between checks whether the consumer has stopped, while the queue is full


class Prefetcher(Iterator[Item], Generic[Item]):
    """Iterate over `iterable` in a background thread: up to `depth` items (1 or more) are queued while one more is produced.

    An error rises in the consumer, in place of the item that failed. `close()`, leaving its `with`, the end and an error all
    end the thread.
    """

    def __init__(self, iterable: Iterable[Item], depth: int) -> None:
        self._stop = threading.Event()
        self._ready: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
        self._done = False
        # The thread holds no reference to this object, so that dropping it ends the thread.
        arguments = (iterable, self._ready, self._stop)
        self._thread = threading.Thread(target=_work, args=arguments, name="codeformer prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> "Prefetcher[Item]":
        return self

    def __next__(self) -> Item:
        if self._done:
            raise StopIteration
        more, value = self._ready.get()
        if more:
            return value
        self.close()
        if isinstance(value, BaseException):
            raise value
        raise StopIteration

    def close(self) -> None:
        """End the thread and drop queued items. The iterable's own `close` is called in the thread."""
        self._done = True
        self._stop.set()
        self._thread.join()
        while not self._ready.empty():
            self._ready.get_nowait()

    def __enter__(self) -> "Prefetcher[Item]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self._stop.set()


def _work(iterable: Iterable[Item], ready: queue.Queue[tuple[bool, Any]], stop: threading.Event) -> None:
    """The thread: put items until they end or the consumer has stopped, then the error or None."""
    end: tuple[bool, Any] = (False, None)
    try:
        for item in iterable:
            if not _put(ready, stop, (True, item)):
                break
            del item  # no reference is kept while the next one is produced
    except BaseException as error:  # noqa: BLE001 - it is raised in the consumer
        end = (False, error)
    try:
        getattr(iterable, "close", lambda: None)()
    except BaseException as error:  # noqa: BLE001 - so is this, unless another came first
        end = end if end[1] else (False, error)
    _put(ready, stop, end)


def _put(ready: queue.Queue[tuple[bool, Any]], stop: threading.Event, entry: tuple[bool, Any]) -> bool:
    """Put an entry once the queue has a free slot; False when the consumer has stopped."""
    while not stop.is_set():
        try:
            ready.put(entry, timeout=_POLL)
            return True
        except queue.Full:
            continue
    return False
