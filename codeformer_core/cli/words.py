"""The words of a command line in the order that the parser expects: people begin with a file, or with -o, as other tools do."""

import argparse
import glob
import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Long options with one dash, which argparse would take for -o and the folder "ut".
_ONE_DASH = {"-out": "--out", "-output": "--out"}

Parsers = Mapping[str, argparse.ArgumentParser]


def subparsers(parser: argparse.ArgumentParser) -> Parsers:
    """The parsers of the commands, or of the actions of a command, by name; argparse has no public list."""
    return next((action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)), {})


def options_of(parser: argparse.ArgumentParser) -> list[str]:
    """The options that a command knows; argparse has no public list."""
    return [option for action in parser._actions for option in action.option_strings]


def in_order(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """The command first, then its action, then the rest, where no option that may stand alone takes a file for its value."""
    words = [_ONE_DASH.get(word, word) for word in words]
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    commands = subparsers(parser)
    words = _name_first(words, commands)
    if not words or words[0] not in commands:
        return words
    actions = subparsers(commands[words[0]])
    rest = _name_first(words[1:], actions) if actions else _options_apart(words[1:], commands[words[0]])
    return [words[0], *rest]


def without_command(words: Sequence[str], parser: argparse.ArgumentParser) -> str | None:
    """The command that was probably meant, in a sentence, where files are named and no command is."""
    commands = subparsers(parser)
    if not words or any(word in commands for word in words):
        return None
    actions = [f"codeformer {name}" for name, command in commands.items() if words[0] in subparsers(command)]
    if actions:
        return f"codeformer: say `{actions[0]} {shlex.join(words)}`."
    paths = [Path(word) for word in words if not word.startswith("-") and _is_path(word)]
    if not paths:
        return None
    from .contents import kind_of  # imports Pillow

    command = "video" if any(kind_of(path) in ("video", "animation") for path in paths if os.path.isfile(path)) else "fix"
    out = [] if {"-o", "--out"} & {*words} else ["-o", "OUT"]
    return f"codeformer: say what to do first, as in `codeformer {command} {shlex.join([*words, *out])}`."


def _name_first(words: list[str], parsers: Parsers) -> list[str]:
    """The words with the one that is a command (or action) first, unless another of them could be it too."""
    if not words or words[0] in parsers:
        return words
    with_value = {
        flag
        for parser in parsers.values()
        for flag, action in parser._option_string_actions.items()
        if action.nargs is None  # exactly one
    }
    at = [index for index, word in enumerate(words) if word in parsers and words[index - 1] not in with_value]
    return [words[at[0]], *words[: at[0]], *words[at[0] + 1 :]] if len(at) == 1 else words


def _options_apart(words: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """An option that takes several values (-w 0.3 0.7) repeated for each, one that may stand alone away from a file, and ./
    before a file that is called as if it were an option (-1.png), as wildcards give it.
    """
    end = words.index("--") if "--" in words else len(words)
    is_number = parser._negative_number_matcher.match
    left, ordered, alone = words[:end], [], []
    while left:
        word = left.pop(0)
        if word not in parser._option_string_actions and not is_number(word) and word[:1] == "-" and os.path.exists(word):
            word = f"./{word}"
        action = parser._option_string_actions.get(word)
        if action and action.nargs == "?" and left and _is_path(left[0]) and not _readable(action, left[0]):
            alone.append(word)
            continue
        ordered.append(word)
        if isinstance(action, argparse._AppendAction) and left and not _readable(action, "word"):  # only of numbers
            ordered.append(left.pop(0))
            while left and _readable(action, left[0]) and not _is_path(left[0]):
                ordered += [word, left.pop(0)]
    return [*ordered, *alone, *words[end:]]


def _is_path(word: str) -> bool:
    return os.path.exists(word) or glob.has_magic(word)


def _readable(action: Any, word: str) -> bool:
    try:
        action.type(word)
    except (argparse.ArgumentTypeError, ValueError):
        return False
    return True


def expected_out(command: str, paths: Collection[Path]) -> str:
    """What to type where -o is missing: the last path where that can only be the result, as `cp` has it."""
    *inputs, last = map(str, paths)
    if "-o" in inputs:
        return "what follows -- is a file or folder: say -o before it."
    if not inputs or (os.path.isfile(last) and not os.path.isdir(inputs[0])):
        inputs, last = [*inputs, last], "OUT"
    return f"say where the results go with -o: `codeformer {command} {shlex.join(inputs)} -o {shlex.quote(last)}`."
