"""The command line: `codeformer`. The work is imported when it is asked for, so that help is quick."""

import argparse
import contextlib
import difflib
import os
import sys
from collections.abc import Sequence
from typing import Any

from .commands import COMMANDS
from .declared import typed_arguments

__all__ = ["COMMANDS", "build_parser", "main"]

#: What options are called in the official programs and in other packs.
OTHER_NAMES = {
    "fidelity_weight": "--fidelity",
    "codeformer_fidelity": "--fidelity",
    "codeformer_weight": "--fidelity",
    "weight": "--fidelity",
    "output_path": "--out",
    "bg_upsampler": "--bg-upscaler",
    "face_upsample": "--face-upscaler",
    "detection_model": "--detector",
    "has_aligned": "--aligned",
    "only_center_face": "--only-center",
    "draw_box": "--draw-boxes",
    "use_parse": "--mask",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 all done, 1 something failed, 2 wrong usage, 130 stopped with Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end the work
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        words = sys.argv[1:] if argv is None else argv
        if words[:1] == ["bench"]:
            print("codeformer: the benchmark is `python -m benchmarks`, in a checkout of the project.", file=sys.stderr)
            return 2
        namespace, unknown = build_parser().parse_known_args(words)
    except SystemExit as status:  # argparse has said why
        return int(status.code or 0)
    if unknown:
        print(unrecognised(namespace.subparser, unknown), file=sys.stderr)
        return 2
    try:
        return namespace.run(typed_arguments(namespace))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read along has left, as `| head` does: nothing more is printed, at the end neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(
        prog="codeformer",
        description="Restore, colour and complete faces in pictures and videos with CodeFormer.",
        epilog="Help on a command: codeformer fix --help",
    )
    parser.add_argument("--version", action=Version, help="show the version")
    sub = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (add, text, usage) in COMMANDS.items():
        command = sub.add_parser(
            name,
            help=text,
            description=f"{text.capitalize()}.",
            usage=f"codeformer {name} {usage}",
            allow_abbrev=False,  # --weight is no short way to say --weights
            argument_default=argparse.SUPPRESS,  # what was not typed is left to the defaults of `Arguments`
        )
        command.set_defaults(subparser=command)
        add(command)
    return parser


class Version(argparse.Action):
    """Shows the version, which is looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, **rest: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **rest)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"codeformer {version('codeformer-suite')}")
        except PackageNotFoundError:
            print("codeformer, not installed: see pyproject.toml for the version")
        parser.exit()


def unrecognised(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> str:
    """What is wrong with words that a command does not know, and what may have been meant."""
    wrong = next((word for word in unknown if word.startswith("-")), unknown[0]).partition("=")[0]
    known = [option for action in parser._actions for option in action.option_strings]  # argparse has no public list
    theirs = OTHER_NAMES.get(wrong.replace("-", "_").lstrip("_"))
    meant = [theirs] if theirs in known else difflib.get_close_matches(wrong, known, n=1)
    hint = f" Did you mean {meant[0]}?" if meant else ""
    return f"{parser.prog}: {wrong} is not known.{hint} See `{parser.prog} --help`."
