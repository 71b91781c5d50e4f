"""Download a model file, complete and verified or not at all: the one place that uses the network, and only when asked to."""

import errno
import hashlib
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..runtime.progress import Tick, no_tick
from .manifest import ModelFile, find
from .reading import load

_CHUNK = 1 << 18  # bytes per read: at 100 kB/s Cancel takes effect within three seconds

_TIMEOUT = 30.0  # seconds without a byte before a server counts as dead

_ATTEMPTS = 5  # at one URL, as long as each adds to the file

_POLL_INTERVAL = 0.5  # seconds between two attempts to take the lock of another fetch of the same file

_FULL = "There is not enough room in {}: {}. Make room, or choose another folder, and fetch again."


def verify(path: Path, model: ModelFile) -> None:
    """Raise ValueError unless the file is the catalogued one: by size, then SHA-256, or structurally where no hash is known."""
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path.name} is not in {path.parent}. Expected {model.file} ({model.described}): fetch it first.")
    if difference := _difference(path, model, path.name):
        raise ValueError(
            f"{path.name} is not the file that the catalogue means: {difference}. "
            f"It is incomplete or another file: move it away or delete it, then fetch {model.name} again."
        )


def _difference(path: Path, model: ModelFile, name: str) -> str:
    """What was found and what was expected where they differ, else ""; `name` is what the file will be called."""
    published, size = name not in model.stand_ins and not model.requirement, path.stat().st_size
    if published and model.bytes not in (None, size):
        return f"found {size:,} bytes, expected {model.bytes:,}"
    if published and model.sha256:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        found = digest.hexdigest()
        return "" if found == model.sha256 else f"found SHA-256 {found}, expected {model.sha256}"
    expected = " ".join(filter(None, (model.task, model.role)))
    try:
        network = load(path, name=name, mapped=False)  # Windows cannot rename a file that is mapped
    except ValueError as error:
        return f"it does not load as a {expected}. {str(error).rstrip('.')}"
    found = " ".join(filter(None, (getattr(network, "task", None), network.role)))
    return "" if found == expected else f"it loads as a {found}, expected a {expected}"


class _SourceFailed(Exception):
    """One URL did not give the file; its argument says why. The next one may."""


def fetch(model: ModelFile, folder: Path, progress: Tick = no_tick) -> Path:
    """Download a model file into a folder: complete and verified, or not at all.

    The bytes go to `<file>.part`, which is resumed when it exists, checked like `verify` does, and renamed. A mirror that the
    environment names in CODEFORMER_MIRROR is asked first, for `$CODEFORMER_MIRROR/<file>`; then the model's own URLs. While
    another thread or program fetches the same file, this one waits for it.

    Args:
        model: an entry of `catalogue()`.
        folder: created if absent. A verified file that is already there is returned at once.
        progress: called with (bytes done, bytes in total; 0 when not known) every quarter of a megabyte. It may raise to
            cancel; what was downloaded is kept for the next time.

    Raises:
        ValueError: another file of that name is there already (it is left alone), CODEFORMER_MIRROR is no web address, or
            the model comes with a Python package that is not installed.
        OSError: no URL gave the file, or the disk is full. The message says what to do by hand.
    """
    if model.requirement:
        if installed := find(model.name):
            return installed
        raise ValueError(f"{model.name} comes with a Python package that is not installed. Install it: {model.command}")
    target = Path(folder) / model.file
    part = target.with_name(f"{model.file}.part")
    if target.exists():
        verify(target, model)
        return target
    urls = _urls(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(part, model, progress):
        if target.exists():  # another fetch completed it
            verify(target, model)
            return target
        failures = []
        for url in urls:
            try:
                _download(url, part, model, progress)
            except _SourceFailed as failure:
                failures.append(f"{url}: {failure}.")
            else:
                os.replace(part, target)
                return target
    kept = f" What was downloaded so far ({_size(part):,} bytes) is kept and will be resumed." if _size(part) else ""
    raise ConnectionError(
        f"{model.file} could not be fetched. {' '.join(failures)} Fetch it with a browser from {model.urls[0]} "
        f"and put it into {target.parent} ({model.described}).{kept}"
    )


def _urls(model: ModelFile) -> tuple[str, ...]:
    mirror = os.environ.get("CODEFORMER_MIRROR", "").rstrip("/")
    if not mirror:
        return model.urls
    if not mirror.lower().startswith(("https://", "http://")):
        raise ValueError(f"CODEFORMER_MIRROR is {mirror!r}, expected an address with https:// or http:// in front: correct it.")
    return (f"{mirror}/{urllib.parse.quote(model.file)}", *model.urls)


@contextmanager
def _locked(part: Path, model: ModelFile, progress: Tick) -> Iterator[None]:
    """Only this fetch writes `part`, by a lock of the operating system, which ends with the process that holds it."""
    lock = FileLock(part.with_name(f"{part.name}.lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_POLL_INTERVAL)
        except Timeout:
            progress(_size(part), model.bytes or 0)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows does not remove what is open; its lock removes itself
            os.unlink(lock.lock_file)
        lock.release()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _download(url: str, part: Path, model: ModelFile, progress: Tick) -> None:
    """Complete and check `part`; after an interruption again, as long as each attempt adds to it."""
    for attempt in range(1, _ATTEMPTS + 1):
        before = _size(part)
        try:
            _append_missing(url, part, model, progress)
        except _SourceFailed:
            if attempt == _ATTEMPTS or _size(part) <= before:
                raise
            continue
        difference = _difference(part, model, model.file)
        if not difference:
            return
        part.unlink()
        if not before or attempt == _ATTEMPTS:  # otherwise what was there before may have been the bad half
            raise _SourceFailed(f"{difference}; it was removed")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Redirections that never lead from https to anything else."""

    def redirect_request(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The next request. Raises URLError where it would leave https."""
        if req.type == "https" and not newurl.lower().startswith("https://"):
            raise urllib.error.URLError(f"redirected away from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _append_missing(url: str, part: Path, model: ModelFile, progress: Tick) -> None:
    """Append the bytes that are missing to `part`, or start again where the server knows no ranges.

    Raises:
        _SourceFailed: the server's fault; `part` keeps what was received.
        OSError: the disk's.
    """
    done = _size(part)
    if model.bytes is not None and done >= model.bytes:
        return  # complete already, or too long: the check decides
    request = urllib.request.Request(url, headers={"User-Agent": "codeformer-suite", "Accept-Encoding": "identity"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        response = urllib.request.build_opener(_SafeRedirects).open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and error.headers.get("Content-Range", "") == f"bytes */{done}":
            return  # complete already: there is nothing after it
        if error.code != 416 or not done:
            raise _SourceFailed(f"HTTP {error.code} {error.reason}") from error
        part.unlink()
        return _append_missing(url, part, model, progress)
    except (OSError, HTTPException) as error:
        raise _SourceFailed(str(getattr(error, "reason", error)) or type(error).__name__) from error
    with response:
        start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if response.status != 206:
            done = 0  # the server ignored Range: it sends the whole file
        elif start != str(done):
            raise _SourceFailed(f"asked for the bytes from {done} on, got those from {start or 'an unknown place'}")
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else 0
        if total and model.bytes and total != model.bytes:
            raise _SourceFailed(f"offers {total:,} bytes, expected {model.bytes:,}")
        total = total or model.bytes or 0
        free = shutil.disk_usage(part.parent).free
        if free < total - done:
            raise OSError(_FULL.format(part.parent, f"{total - done:,} bytes are needed for {model.file}, {free:,} are free"))
        try:
            with part.open("ab" if done else "wb") as file:
                while chunk := _receive(response):
                    file.write(chunk)
                    done += len(chunk)
                    progress(done, total)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
                raise
            part.unlink()  # a disk filled to the last byte harms other programs; the bytes can be had again
            raise OSError(_FULL.format(part.parent, f"it ran full while {model.file} came, whose part was removed")) from error
    if done < total:
        raise _SourceFailed(f"the connection ended after {done:,} of {total:,} bytes")


def _receive(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, HTTPException) as error:
        raise _SourceFailed(f"the connection broke ({error})") from error
