"""Types of values for argparse, each with a sentence for what it refuses."""

import argparse
import difflib
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .. import checkpoints
from ..options.option import Numbers
from ..runtime.addresses import is_remote, to_path


def number(expected: Numbers) -> Callable[[str], Any]:
    """One of these numbers."""

    def read(text: str) -> Any:
        try:
            value = int(text) if expected.whole else float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected.noun}") from None
        if value not in expected:
            raise argparse.ArgumentTypeError(f"found {text}, expected {expected}")
        return value

    return read


def listed(read: Callable[[str], Any], alone: bool = False) -> Callable[[str], Any]:
    """A tuple of values with commas between them; with `alone`, a single one is not a tuple."""

    def values(text: str) -> Any:
        found = tuple(read(part.strip()) for part in text.split(","))
        return found[0] if alone and len(found) == 1 else found

    return values


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """One of these words; the command line writes their blanks as dashes."""

    def word(text: str) -> str:
        found = {choice.replace(" ", "-"): choice for choice in choices}
        if text not in found:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(found)}")
        return found[text]

    return word


def named(text: str) -> Path:
    """A path. An empty one, as an unset variable of a shell gives, is refused: to pathlib it is the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("found an empty name, expected a file or folder; the current folder is called .")
    return _to_path(text)


def existing(text: str) -> Path:
    """The path of a file or folder that exists; a pipe could be read only once, and might be waited for without end."""
    path = named(text)
    if wrong := problem(path):
        raise argparse.ArgumentTypeError(f"{text} {wrong}")
    return path


def existing_file(text: str) -> Path:
    """`existing`, and no folder."""
    path = existing(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder, expected a file")
    return path


def problem(path: Path) -> str | None:
    """Why a path is not that of a file or folder that can be read, to follow its name; None where it is."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    except Exception as error:
        if not is_remote(path):
            raise
        return f"cannot be reached ({type(error).__name__}: {error})"
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return "is neither a file nor a folder: save what it gives as a file first"


def json_file(text: str) -> Path:
    """The path of a JSON file, so that no image is overwritten by mistake."""
    return _ending(text, ".json")


def html_file(text: str) -> Path:
    """The path of an HTML file."""
    return _ending(text, ".html")


def _ending(text: str, end: str) -> Path:
    path = _to_path(text)
    if path.suffix.lower() != end:
        raise argparse.ArgumentTypeError(f"{text} does not end in {end}")
    return path


def _to_path(text: str) -> Path:
    try:
        return to_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def model(name: str) -> checkpoints.ModelFile:
    """An entry of the catalogue."""
    entry = checkpoints.lookup(name)
    if entry is None:
        known = [entry.name for entry in checkpoints.catalogue()]
        hint = did_you_mean(name, known) or f" Use one of: {', '.join(known)}"
        raise argparse.ArgumentTypeError(f"{name!r} is not a model of the catalogue.{hint}")
    return entry


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What a misspelt word may have meant, as a sentence to append; empty where nothing is near."""
    meant = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f" Did you mean {meant[0]}?" if meant else ""
