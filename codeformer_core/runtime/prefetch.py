"""An iterator that works ahead in a thread of its own."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

_POLL = 0.1  # seconds; how long a full queue keeps the thread from seeing that nobody reads any more


class Prefetcher(Iterator[Item], Generic[Item]):
    """The items of an iterable, of which up to `depth` wait ready made. Made by `ahead`."""

    def __init__(self, iterable: Iterable[Item], depth: int) -> None:
        self._stop = threading.Event()
        if depth < 1:
            raise ValueError(f"{depth} items ahead, expected at least 1.")
        self._ready: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
        self._done = False
        # the thread knows nothing of this object, which can so be forgotten, and then ends it
        arguments = (iterable, self._ready, self._stop)
        self._thread = threading.Thread(target=_work, args=arguments, name="codeformer ahead", daemon=True)
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
        """End the thread and let go of what waits. The iterable's own `close` is called in the thread."""
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
    """The thread: put items until they end or nobody reads any more, then the error or None."""
    end: tuple[bool, Any] = (False, None)
    try:
        for item in iterable:
            if not _put(ready, stop, (True, item)):
                break
            del item  # nothing is held while the next one is made
    except BaseException as error:  # noqa: BLE001 - it is raised where the items are read
        end = (False, error)
    try:
        close = getattr(iterable, "close", None)
        if close is not None:
            close()
    except BaseException as error:  # noqa: BLE001 - so is this, unless another came first
        end = end if end[1] else (False, error)
    _put(ready, stop, end)


def _put(ready: queue.Queue[tuple[bool, Any]], stop: threading.Event, entry: tuple[bool, Any]) -> bool:
    """Wait for room; False when nobody reads any more."""
    while not stop.is_set():
        try:
            ready.put(entry, timeout=_POLL)
            return True
        except queue.Full:
            continue
    return False


def prefetch(iterable: Iterable[Item], depth: int) -> Prefetcher[Item]:
    """Iterate over `iterable` in a background thread: up to `depth` items wait ready made, and one more is being made.

    Errors rise at the place of the item that could not be made. `close()`, leaving its `with`, the end and an error all end
    the thread.

    Raises:
        ValueError: `depth` is below 1.
    """
    return Prefetcher(iterable, depth)
