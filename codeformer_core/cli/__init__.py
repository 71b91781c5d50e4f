"""The command line: `codeformer`. The module of a command is imported when it is called, so that help is quick."""

import argparse
import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .commands import COMMANDS
from .contradictions import contradiction
from .parser import build_parser, parsed_arguments
from .process import let_threads_sleep, missing_folder, name_user, open_closed_streams
from .signals import interrupted_status, signals_interrupt
from .values import did_you_mean
from .words import Parsers, expected_out, in_order, options_of, subparsers, without_command

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
    "s": "--upscale",
    "save_video_fps": "--fps",
    "only_center_face": "--only-center",
    "draw_box": "--draw-boxes",
    "use_parse": "--mask",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 all done, 1 something failed, 2 wrong usage, 128 + the signal that ended it
    (130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP).

    Args:
        argv: the words of the command line; None are those of this process, which then is the command line's own.
    """
    if argv is None:
        let_threads_sleep()
        name_user()
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end the work
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["bench"]:
        return _refuse("codeformer: the benchmark is `python -m benchmarks`, in a checkout of the project.")
    parser = build_parser()
    if not words:
        parser.print_help(sys.stderr)
        return 2
    words = in_order(words, parser)
    if sentence := without_command(words, parser):
        return _refuse(sentence)
    try:
        namespace, unknown = parser.parse_known_args(words)
    except SystemExit as status:  # argparse has said why
        return int(status.code or 0)
    if unknown:
        return _refuse(_unrecognised(namespace.subparser, unknown, subparsers(parser)))
    arguments = parsed_arguments(namespace)
    no_out = arguments.command in COMMANDS and "out" not in arguments.typed
    if sentence := expected_out(arguments.command, arguments.paths) if no_out else contradiction(arguments):
        return _refuse(f"codeformer {arguments.command}: {sentence}")
    if sentence := missing_folder(temporary=arguments.command != "models"):
        return _refuse(f"codeformer: {sentence}")
    with signals_interrupt() as received:
        try:
            status = import_module(f".{namespace.module}", __package__).run(arguments)
            sys.stdout.flush()  # here, where a full disk can still be told
            return status
        except KeyboardInterrupt as stop:
            print("Stopped.", file=sys.stderr)
            return interrupted_status(stop)
        except OSError as error:  # the reader has left, as `| head` does, the terminal is gone, or the disk is full
            if error.errno not in (errno.EPIPE, errno.EIO, errno.ENOSPC) or error.filename is not None:
                raise
            if error.errno == errno.ENOSPC:
                print("codeformer: what is said here cannot be written: the disk is full.", file=sys.stderr)
            for stream in (sys.stdout, sys.stderr):  # nothing more is printed, nor flushed at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return 128 + received[0] if received else 1


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


def _unrecognised(parser: argparse.ArgumentParser, unknown: Sequence[str], commands: Parsers) -> str:
    """What is wrong with words that a command does not know, and what may have been meant."""
    wrong = next((word for word in unknown if word.startswith("-")), unknown[0]).partition("=")[0]
    known = options_of(parser)
    theirs = OTHER_NAMES.get(wrong.replace("-", "_").lstrip("_"))
    if wrong in ("-i", "--input_path"):
        return f"{parser.prog}: {wrong} is not needed: name files and folders right after `{parser.prog}`."
    having = ", ".join(f"`{command.prog}`" for command in commands.values() if wrong in options_of(command))
    if having:
        hint = f" It is an option of {having}."
    else:
        hint = f" Did you mean {theirs}?" if theirs in known else did_you_mean(wrong, known)
    return f"{parser.prog}: {wrong} is not known.{hint} See `{parser.prog} --help`."
