"""Atomic writes: a file appears under its name complete, by a rename, or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary name beside `path` to write to; renamed to `path` on leaving without an error, else removed.

    A new file has the permissions that `open` gives; a replaced one keeps its own (POSIX).

    Raises:
        FileExistsError: `path` exists and `overwrite` is not set, now or on leaving. It is left as it is.
        OSError: the file cannot take the name.
    """
    if not overwrite:
        refuse_existing(path)
    temporary = path.with_name(f".codeformer-{secrets.token_hex(8)}.part")
    try:
        yield temporary
        if overwrite:
            if os.name == "posix":  # Windows has a read-only flag only, with which the clean-up would fail
                with suppress(OSError):  # no older file, or a file system without permissions
                    shutil.copymode(path, temporary)
            os.replace(temporary, path)
        else:
            _rename_to_free_name(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, overwrite: bool = False) -> None:
    """`path.write_bytes(data)`, atomically; errors as in `atomic_write`."""
    with atomic_write(path, overwrite) as temporary:
        temporary.write_bytes(data)


def refuse_existing(path: Path) -> None:
    """Raise FileExistsError when there is something at `path`: for a caller that would rather know before the work."""
    if path.exists():
        raise _exists(path)


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
