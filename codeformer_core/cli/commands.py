"""The commands: which options each has, and where its work is, which is imported when it is asked for."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import NamedTuple

from .. import checkpoints
from .arguments import Arguments, contradiction
from .declared import add_options
from .values import model, named

Run = Callable[[Arguments], int]


class Command(NamedTuple):
    """What adds the options of a command, what it does, and how it is called."""

    add: Callable[..., None]
    help: str
    usage: str


def _command(
    name: str, module: str, done: str, reads: str, groups: Sequence[str], without: Sequence[str] = ()
) -> Callable[..., None]:
    """What adds the options of a command on images or videos.

    Args:
        module: where its function is, of the command's name.
        done: what happens to a face.
        groups, without: see `add_options`.
    """

    def add(parser: argparse.ArgumentParser, defaults: Arguments = Arguments()) -> None:
        parser.add_argument("paths", nargs="+", type=named, metavar="PATH", help=f"{reads} and folders of them")
        parser.add_argument("-o", "--out", type=named, required=True, help="folder for the results; or a file, for one input")
        add_options(parser, groups, without, defaults)
        parser.set_defaults(run=partial(_run, module), command=name, done=done)

    return add


_IMAGES, _VIDEOS = "pictures (PNG, JPEG, WebP, BMP, TIFF)", "videos (MP4, MOV, MKV, WebM, ...)"
_FACES = ("detection", "selection", "models", "speed")
_PASTED = ("restoration", "size", "pasting")
_FILES = ("files", "images", "saved faces")

#: Options of the restorer, which `codeformer crop` does without.
_OF_RESTORER = ("suffix", "model", "parser", "precision", "compile", "batch")

COMMANDS: Mapping[str, Command] = {
    "fix": Command(
        _command("fix", "images", "restored", _IMAGES, (*_FILES, *_PASTED, *_FACES)),
        "restore the faces in pictures",
        "PATH... -o OUT [options]",
    ),
    "colorize": Command(
        _command("colorize", "images", "coloured", _IMAGES, (*_FILES, "colours", "pasting", *_FACES)),
        "give colours to the faces in pictures",
        "PATH... -o OUT [options]",
    ),
    "inpaint": Command(
        _command("inpaint", "images", "filled", _IMAGES, (*_FILES, "holes", *_FACES), ("parser",)),
        "fill what is missing in the faces of pictures",
        "PATH... -o OUT [options]",
    ),
    "video": Command(
        _command(
            "video", "videos", "restored", _VIDEOS, ("files", "videos", *_PASTED, "steadiness", *_FACES), ("fidelity_mask",)
        ),
        "restore the faces in videos",
        "PATH... -o OUT [options]",
    ),
    "train": Command(lambda parser: _add_train(parser), "train a network of your own", "CONFIG [options]"),
    "crop": Command(
        _command("crop", "images", "cut out", _IMAGES, ("files", "crops", *_FACES), _OF_RESTORER),
        "cut aligned faces out of pictures, to train with",
        "PATH... -o FOLDER [options]",
    ),
    "models": Command(lambda parser: _add_models(parser), "list, fetch and verify model files", "ACTION [options]"),
}


def _run(module: str, arguments: Arguments) -> int:
    wrong = contradiction(arguments)
    if wrong:
        print(f"codeformer {arguments.command}: {wrong}", file=sys.stderr)
        return 2
    return getattr(import_module(f".{module}", __package__), arguments.command)(arguments)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a TOML file, or the name of one that comes with the program")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=_train)


def _train(arguments: Arguments) -> int:
    """The exit status: 0 trained or stopped with everything saved, 1 something failed, 2 the configuration is wrong."""
    from ..training import config
    from ..training.run import train

    try:
        settings = config.read(arguments.config)
    except ValueError as error:
        print(f"codeformer train: {error}", file=sys.stderr)
        return 2
    try:
        done = train(settings, quiet=arguments.quiet)
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"codeformer train: {error}", file=sys.stderr)
        return 1
    if not arguments.quiet:
        print(f"stage {settings.stage}, {done} of {settings.optimiser.steps} steps -> {settings.out / 'network.pth'}")
    return 0


#: Action of `codeformer models` -> (what it does, how many names it takes).
_ACTIONS = {
    "list": ("every known file, whether it is here, its size, address, hash and licence", None),
    "fetch": ("fetch files, after saying how large they are and under which licence", "+"),
    "verify": ("check that files are the published ones", "*"),
    "where": ("the folders that are looked in", None),
}


def _add_models(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", prog="codeformer models")
    parser.set_defaults(run=partial(_models, "list"))
    names = ", ".join(entry.name for entry in checkpoints.catalogue())
    for action, (text, count) in _ACTIONS.items():
        sub = actions.add_parser(
            action, help=text, description=f"{text.capitalize()}.", allow_abbrev=False, argument_default=argparse.SUPPRESS
        )
        sub.set_defaults(run=partial(_models, action), subparser=sub)
        if count:
            sub.add_argument("names", nargs=count, type=model, metavar="NAME", help=names)
        add_options(sub, ("models",), ("model", "detector", "parser", "download"))
        sub.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def _models(action: str, arguments: Arguments) -> int:
    from . import models

    return models.ACTIONS[action](arguments.names, arguments.weights, arguments.quiet)
