"""The command line: `codeformer`. The work is imported when it is asked for, so that help is quick."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from . import commands, learning

#: name -> (what adds its options, what it does, how it is called).
COMMANDS = {
    "fix": (commands.fix, "restore the faces in pictures", "PATH... -o OUT [options]"),
    "colorize": (commands.colorize, "give colours to the faces in pictures", "PATH... -o OUT [options]"),
    "inpaint": (commands.inpaint, "fill what is missing in the faces of pictures", "PATH... -o OUT [options]"),
    "video": (commands.video, "restore the faces in videos", "PATH... -o OUT [options]"),
    "bench": (commands.bench, "measure how fast this machine is, and beside the official code", "[options]"),
    "train": (learning.train, "train a network of your own", "CONFIG [options]"),
    "crop": (learning.crop, "cut aligned faces out of pictures, to train with", "PATH... -o FOLDER [options]"),
    "models": (commands.models, "list, fetch and verify model files", "ACTION [options]"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 all done, 1 something failed, 2 wrong usage, 130 stopped with Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end the work
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        args = arguments().parse_args(argv)
    except SystemExit as status:  # argparse has said why
        return int(status.code or 0)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read along has left, as `| head` does: nothing more is said, at the end neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def arguments() -> argparse.ArgumentParser:
    """Everything that can be said."""
    parser = argparse.ArgumentParser(
        prog="codeformer",
        description="Restore, colour and complete faces in pictures and videos with CodeFormer.",
        epilog="Help on a command: codeformer fix --help",
    )
    sub = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (add, described, usage) in COMMANDS.items():
        add(sub.add_parser(name, help=described, description=f"{described.capitalize()}.", usage=f"codeformer {name} {usage}"))
    return parser
