"""One HTTP request in a thread of its own, so that whoever waits can stop at any time, also while a server says nothing."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from queue import Empty, Full, Queue
from typing import Any, NamedTuple

_CHUNK = 1 << 18  # bytes per read at most

_TIMEOUT = 30.0  # seconds without a byte before a server counts as dead

#: Seconds between two looks whether somebody wants to stop.
PATIENCE = 0.25


class SourceFailed(Exception):
    """One URL did not give the file; its argument says why. The next one may."""


class Answer(NamedTuple):
    """What a server sends.

    Attributes:
        start: the position of the first byte in the file; -1 where the server does not say.
        length: how many bytes it will send; 0 when it does not say.
        chunks: the bytes as they come; an empty chunk when none came for a while.
    """

    start: int
    length: int
    chunks: Iterator[bytes]


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Redirections that never lead from https to anything else."""

    def redirect_request(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The next request. Raises URLError where it would leave https."""
        if req.type == "https" and not newurl.lower().startswith("https://"):
            raise urllib.error.URLError(f"redirected away from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def ask(url: str, start: int) -> Iterator[Iterator[Answer | None]]:
    """`with ask(url, start) as answers`: None as long as the server has not answered, then its answer.

    Args:
        start: the position of the first byte that is asked for; a server may ignore it.

    Raises:
        SourceFailed: from either iterator: no connection, no answer, or it breaks off.
        urllib.error.HTTPError: from `answers`: the server answers with this status instead.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "codeformer-suite", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    received: Queue[Any] = Queue(4)
    stopped = threading.Event()
    # A daemon: after a stop it may wait for the dead server a little longer, and for nothing else.
    threading.Thread(target=_receive, args=(request, received, stopped), name="codeformer fetch", daemon=True).start()
    try:
        yield _answers(received)
    finally:
        stopped.set()


def _receive(request: urllib.request.Request, received: "Queue[Any]", stopped: threading.Event) -> None:
    """Put what comes into a queue: the response's headers, chunks, at last b"" or the error."""

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                received.put(item, timeout=PATIENCE)
            except Full:
                continue
            return True
        return False

    try:
        with urllib.request.build_opener(_SafeRedirects).open(request, timeout=_TIMEOUT) as response:
            start, length = _announced(response)
            left = length or None
            if not put((start, length)):
                return
            # read1 gives what there is, and does not count: without the count a connection that is kept open never ends.
            while chunk := response.read1(_CHUNK if left is None else min(_CHUNK, left)):
                left = None if left is None else left - len(chunk)
                if not put(chunk):
                    return
            put(b"")
    except (OSError, HTTPException) as error:
        put(error)


def _announced(response: HTTPResponse) -> tuple[int, int]:
    """`Answer.start` and `Answer.length`."""
    length = response.headers.get("Content-Length", "")
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    position = 0 if response.status != 206 else int(start) if start.isdigit() else -1
    return position, int(length) if length.isdigit() else 0


def _answers(received: "Queue[Any]") -> Iterator[Answer | None]:
    while (item := _next(received)) is None:
        yield None
    if isinstance(item, urllib.error.HTTPError):
        raise item
    if isinstance(item, Exception):
        raise SourceFailed(str(getattr(item, "reason", item)) or type(item).__name__) from item
    start, length = item
    yield Answer(start, length, _chunks(received))


def _chunks(received: "Queue[Any]") -> Iterator[bytes]:
    while (item := _next(received)) != b"":
        if isinstance(item, Exception):
            raise SourceFailed(f"the connection broke ({item})") from item
        yield item or b""


def _next(received: "Queue[Any]") -> Any:
    """What comes next; None when nothing came for a while."""
    try:
        return received.get(timeout=PATIENCE)
    except Empty:
        return None
