"""What may stand behind an option: argument types, each with a sentence for what it refuses."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .. import checkpoints

T = TypeVar("T")


def _read(kind: Callable[[str], T], text: str, expected: str) -> T:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}") from None


def named(text: str) -> Path:
    """An argument type: a path; an empty one, as an unset variable of a shell gives, is none and not the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("found an empty name, expected a file or folder; the current folder is called .")
    return Path(text)


def between(low: float, high: float) -> Callable[[str], float]:
    """An argument type: a number from `low` to `high`."""

    def number(text: str) -> float:
        value = _read(float, text, "a number")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"found {text}, expected a number from {low:g} to {high:g}")
        return value

    return number


def whole(low: int | None = None, zero: bool = False) -> Callable[[str], int]:
    """An argument type: a whole number from `low` on, or 0 as well where that has a meaning of its own."""

    def number(text: str) -> int:
        value = _read(int, text, "a whole number")
        if low is not None and value < low and not (zero and value == 0):
            raise argparse.ArgumentTypeError(f"found {text}, expected a whole number from {low} on{', or 0' if zero else ''}")
        return value

    return number


def listed(read: Callable[[str], Any], alone: bool = False) -> Callable[[str], Any]:
    """An argument type: a tuple of values with commas between them; `alone` gives a single one as itself."""

    def values(text: str) -> Any:
        found = tuple(read(part.strip()) for part in text.split(","))
        return found[0] if alone and len(found) == 1 else found

    return values


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """An argument type: one of these words; the command line writes their blanks as dashes."""

    def word(text: str) -> str:
        found = {choice.replace(" ", "-"): choice for choice in choices}
        if text not in found:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(found)}")
        return found[text]

    return word


def existing(text: str) -> Path:
    """An argument type: a file or folder that is there."""
    path = named(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return path


def json_file(text: str) -> Path:
    """An argument type: the name of a JSON file, so that no picture is written over by mistake."""
    path = Path(text)
    if path.suffix.lower() != ".json":
        raise argparse.ArgumentTypeError(f"{text} does not end in .json")
    return path


def model(name: str) -> checkpoints.ModelFile:
    """An argument type: an entry of the catalogue."""
    entry = checkpoints.lookup(name)
    if entry is None:
        known = ", ".join(entry.name for entry in checkpoints.catalogue())
        raise argparse.ArgumentTypeError(f"{name!r} is not a model of the catalogue. Use one of: {known}")
    return entry
