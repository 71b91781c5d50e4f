"""The commands and the parser of each. Only the standard library is imported, so that help is quick."""

import argparse
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .. import checkpoints
from .argparse_options import add_options
from .arguments import Arguments
from .values import model, named


class Command(NamedTuple):
    """A command on images or videos.

    Attributes:
        help: what it does.
        module: where its `run` is, which is imported when it is called.
        task: what its restorer was trained for; None for a command without one.
        done: what happens to a face, as the report says it.
        groups: of its options, keys of `argparse_options.GROUPS`.
        without: options of these groups that it does not have.
    """

    help: str
    module: str
    task: str | None
    done: str
    groups: Sequence[str]
    without: Sequence[str] = ()


#: Module of a command -> what it reads.
_READ = {"images": "images (PNG, JPEG, WebP, BMP, TIFF)", "videos": "videos (MP4, MOV, MKV, WebM, ...)"}

_FILES = ("files", "images", "saved faces")
_PASTED = ("restoration", "size", "pasting")
_FACES = ("detection", "selection", "models", "speed")

COMMANDS: Mapping[str, Command] = {
    "fix": Command("restore the faces in images", "images", "restoration", "restored", (*_FILES, *_PASTED, *_FACES)),
    "colorize": Command(
        "give colours to the faces in images", "images", "colorization", "coloured", (*_FILES, "colours", "pasting", *_FACES)
    ),
    "inpaint": Command(
        "fill what is missing in the faces of images",
        "images",
        "inpainting",
        "filled",
        (*_FILES, "holes", *_FACES),
        without=("parser",),
    ),
    "video": Command(
        "restore the faces in videos",
        "videos",
        "restoration",
        "restored",
        ("files", "videos", *_PASTED, "steadiness", *_FACES),
        without=("fidelity_mask",),
    ),
    "crop": Command(
        "cut aligned faces out of images, to train with",
        "images",
        None,
        "cut out",
        ("files", "crops", *_FACES),
        without=("suffix", "model", "parser", "compile", "batch"),
    ),
}

#: Action of `codeformer models` -> (what it does, how many names it takes).
_ACTIONS = {
    "list": ("every known file, whether it is here, its size, address, hash and licence", None),
    "fetch": ("fetch files, after saying how large they are and under which licence", "+"),
    "verify": ("check that files are the published ones", "*"),
    "where": ("the folders that are looked in", None),
}


class _ShowVersion(argparse.Action):
    """`action="version"`, but the version is looked up only when asked for: that takes as long as all of --help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from .. import __version__

        print(f"codeformer {__version__}")
        parser.exit()


def build_parser(defaults: Arguments = Arguments()) -> argparse.ArgumentParser:
    """The parser of every command; the options are those of `defaults`, see `add_options`."""
    parser = argparse.ArgumentParser(
        prog="codeformer",
        description="Restore, colour and complete faces in images and videos with CodeFormer.",
        epilog="Help on a command: codeformer fix --help",
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (text, module, _, _, groups, without) in COMMANDS.items():
        command = _add_parser(commands, name, text, module, f"codeformer {name} PATH... -o OUT [options]")
        command.add_argument("paths", nargs="+", type=named, metavar="PATH", help=f"{_READ[module]} and folders of them")
        out = "folder for the faces" if name == "crop" else "folder for the results; or a file, for one input"
        command.add_argument("-o", "--out", type=named, required=True, help=out)
        add_options(command, groups, without, defaults)
    train = _add_parser(commands, "train", "train a network of your own", "train", "codeformer train CONFIG [options]")
    train.add_argument("config", metavar="CONFIG", help="a TOML file, or the name of one that comes with the program")
    models = _add_parser(
        commands, "models", "list, fetch and verify model files", "models", "codeformer models ACTION [options]"
    )
    actions = models.add_subparsers(metavar="ACTION", prog="codeformer models", dest="action")
    models.set_defaults(action=defaults.action)
    for name, (text, count) in _ACTIONS.items():
        action = _add_parser(actions, name, text, "models")
        if count:
            known = ", ".join(entry.name for entry in checkpoints.catalogue())
            action.add_argument("names", nargs=count, type=model, metavar="NAME", help=known)
        add_options(action, ("models",), ("model", "detector", "parser", "download"), defaults)
    return parser


def _add_parser(
    parsers: argparse._SubParsersAction, name: str, text: str, module: str, usage: str | None = None
) -> argparse.ArgumentParser:
    parser = parsers.add_parser(
        name,
        help=text,
        description=f"{text.capitalize()}.",
        usage=usage,
        allow_abbrev=False,  # --weight is no short way to say --weights
        argument_default=argparse.SUPPRESS,  # what was not typed is left to the defaults of `Arguments`
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar and no report")
    parser.set_defaults(module=module, subparser=parser)
    return parser
