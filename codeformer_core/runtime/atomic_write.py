"""Atomic writes: a file appears under its name complete, by a rename, or not at all."""

import errno
import os
import platform
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .addresses import is_remote, put_bytes, read_bytes

#: Temporary names that are in use by this process.
_in_use: set[str] = set()

#: What another computer's process has not touched for this many seconds is taken for abandoned.
ABANDONED = 24 * 3600

NOTHING_LEFT = "no part of the file is left."

_ADVICE = {
    errno.ENOSPC: "Free disk space, or choose another disk",
    errno.EDQUOT: "Free disk space, or choose another disk",
    errno.EFBIG: "Choose another disk, or a shorter part",
    errno.ENOENT: "Choose a folder that exists",
    errno.ENOTDIR: "Choose a folder that exists",
}


@contextmanager
def atomic_write(path: Path, overwrite: bool = False, *, durable: bool = False) -> Iterator[Path]:
    """A temporary name beside `path` to write to; renamed to `path` on leaving without an error, else removed.

    A new file has the permissions that `open` gives; a replaced one keeps its own (POSIX). A durable one outlasts a power
    failure from then on.

    Raises:
        FileExistsError: `path` exists and `overwrite` is not set, now or on leaving. It is left as it is.
        OSError: the file cannot take the name.
    """
    if not overwrite:
        refuse_existing(path)
    temporary = path.with_name(f".codeformer-{_host()}-{os.getpid()}-{secrets.token_hex(8)}.part")
    _in_use.add(temporary.name)
    try:
        yield temporary
        if durable:
            _to_disk(temporary)
        if overwrite:
            if os.name == "posix":  # Windows has a read-only flag only, with which the clean-up would fail
                with suppress(OSError):  # no older file, or a file system without permissions
                    shutil.copymode(path, temporary)
            os.replace(temporary, path)
        else:
            _rename_to_free_name(temporary, path)
        if durable and os.name == "posix":  # Windows cannot open a folder
            _to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        _in_use.discard(temporary.name)


def _to_disk(path: Path) -> None:
    """Have the system write what it holds of a file, or of a folder's names, to the disk."""
    number = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def remove_abandoned(folder: Path) -> int:
    """Remove the temporary files of processes that were killed while they wrote into a folder; returns how many there were."""
    count = 0
    for part in () if is_remote(folder) else folder.glob(".codeformer-*.part"):
        with suppress(OSError):  # another process was faster; or Windows, which keeps what somebody has open
            if not _is_being_written(part):
                part.unlink()
                count += 1
    return count


def _is_being_written(part: Path) -> bool:
    named = re.fullmatch(r"\.codeformer-(.*)-(\d+)-\w+\.part", part.name)
    if named is None or named[1] != _host():  # a process of another computer cannot be asked
        return time.time() - part.stat().st_mtime < ABANDONED
    process = int(named[2])
    if process == os.getpid():  # in a container every run may be number 1
        return part.name in _in_use
    if os.name == "nt":  # where os.kill would end it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def _host() -> str:
    return re.sub(r"\W", "_", platform.node())


def write_bytes(path: Path, data: bytes, overwrite: bool = False) -> None:
    """`path.write_bytes(data)`, atomically. A file with these very bytes is no error.

    Raises:
        FileExistsError: see `atomic_write`.
        OSError: see `cannot_be_written`.
    """
    if not overwrite and path.is_file() and read_bytes(path) == data:
        return
    if is_remote(path):
        if not overwrite:
            refuse_existing(path)
        return put_bytes(path, data)
    try:
        with atomic_write(path, overwrite) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        if error.errno is None:  # a sentence already
            raise
        raise cannot_be_written(path, error) from error


def cannot_be_written(path: Path, error: OSError, left: str = NOTHING_LEFT) -> OSError:
    """The error to raise instead of one of the system while `path` was written: a sentence that says what to do."""
    kind = type(OSError(error.errno, ""))  # PermissionError and the like
    advice = _ADVICE.get(error.errno or 0, "Choose a folder that can be written to")
    return kind(f"{path} cannot be written: {error.strerror}. {advice}; {left}")


def refuse_existing(path: Path) -> None:
    """Raise FileExistsError when there is something at `path`: for a caller that would rather know before the work."""
    if path.exists():
        raise _exists(path)


def refuse_unwritable(folders: Iterable[Path]) -> None:
    """Raise an OSError where no file can be made in one of these folders, which need not exist yet: before the work, too."""
    nearest = {
        next(place for place in (folder, *folder.parents) if os.path.exists(place))
        for folder in folders
        if not is_remote(folder)
    }
    for place in nearest:
        if not os.path.isdir(place):
            raise NotADirectoryError(f"{place} is a file, so nothing can be written into it: name another folder.")
        try:
            tempfile.TemporaryFile(dir=place).close()
        except OSError as error:
            raise type(error)(
                f"nothing can be written into {place} ({error.strerror or error}): name another folder."
            ) from error


def _rename_to_free_name(source: Path, target: Path) -> None:
    """Rename a file unless the new name is taken, even when another program takes it at this moment."""
    try:
        os.link(source, target)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError:  # FAT and some network shares have no hard links: take the name with an empty file, then replace that
        try:
            target.open("xb").close()
        except FileExistsError as error:
            raise _exists(target) from error
        try:
            os.replace(source, target)
        except OSError:
            target.unlink(missing_ok=True)
            raise


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(f"{path} exists already and is left as it is. Choose another name, or allow --overwrite.")
