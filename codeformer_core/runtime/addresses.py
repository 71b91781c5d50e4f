"""Addresses in an object store (s3://, gs://) beside paths of files, through fsspec: the same methods as of a path.

Credentials are those of the environment, as the store's own tools read them; an address never holds any.
"""

from pathlib import Path

SCHEMES = ("s3://", "gs://")


def to_path(text: str) -> Path:
    """The path or address that a text names.

    Raises:
        ValueError: an address with credentials in it, or the package for it is not installed.
    """
    if not text.startswith(SCHEMES):
        return Path(text)
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError("found credentials in an address, which would end up in reports: put them into the environment.")
    try:
        from upath import UPath

        found = UPath(text)
        _ = found.fs  # imports s3fs or gcsfs
    except ImportError as error:
        extra = 'pip install "codeformer-suite[cluster]"' + (" gcsfs" if text.startswith("gs") else "")
        raise ValueError(f"addresses such as {text} need {extra} ({error}).") from error
    return found  # pyright: ignore[reportReturnType] - it has what is used of a path here


def is_remote(path: Path) -> bool:
    """Whether it is an address in an object store."""
    return not isinstance(path, Path)


def read_bytes(path: Path) -> bytes:
    """`path.read_bytes()`; whatever an object store raises is an OSError."""
    if not is_remote(path):
        return path.read_bytes()
    try:
        return path.read_bytes()
    except Exception as error:
        raise _as_os_error(path, error) from error


def put_bytes(path: Path, data: bytes) -> None:
    """Write an object, which appears when it is complete."""
    try:
        path.write_bytes(data)
    except Exception as error:
        raise _as_os_error(path, error) from error


def list_objects(folder: Path, recursive: bool) -> list[Path]:
    """The objects below an address, by one listing."""
    found = folder.fs.find(folder.path, maxdepth=None if recursive else 1)  # pyright: ignore[reportAttributeAccessIssue]
    return [folder.joinpath(*name[len(folder.path) :].strip("/").split("/")) for name in found]  # pyright: ignore[reportAttributeAccessIssue]


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; in an object store there are none to make."""
    if not is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _as_os_error(path: Path, error: Exception) -> OSError:
    kind = type(error) if isinstance(error, OSError) else OSError
    return kind(f"{path} cannot be reached ({type(error).__name__}: {error})")
