"""The commands and the parser of each, with options from the fields of `Arguments`, and `Arguments` from what was parsed."""

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from .. import checkpoints
from ..options import OptionField, option_fields, with_values
from .arguments import Arguments
from .values import did_you_mean, listed, model, named, number, one_of

#: The headings of the help: group of options -> (title, what is said below it).
GROUPS: dict[str, tuple[str, str | None]] = {
    "files": ("files", None),
    "images": ("images", None),
    "seeing": ("seeing the results", None),
    "crops": ("face crops", None),
    "videos": ("videos", None),
    "restoration": ("restoration", "one fidelity for all faces; of images also one for each face, such as 0.3,0.8"),
    "colours": ("colours", None),
    "holes": ("what is filled", "the white of a mask; without one, white brush strokes in the image"),
    "steadiness": ("steadiness", "faces are tracked from frame to frame, so that they do not flicker"),
    "size": ("size", "upscalers are realesrgan-x2plus, realesrgan-x4plus or the path of a file"),
    "detection": ("finding faces", None),
    "saved faces": ("faces in files", None),
    "selection": ("which faces", "all, unless something is said here"),
    "pasting": ("where a face is pasted", None),
    "models": ("models", "names as in `codeformer models list`, or paths of files"),
    "speed": ("speed", None),
}


class Command(NamedTuple):
    """A command on images or videos.

    Attributes:
        help: what it does.
        module: where its `run` is, which is imported when it is called.
        task: what its restorer was trained for; None for a command without one.
        done: what happens to a face, as the report says it.
        groups: of its options.
        without: options of these groups that it does not have.
    """

    help: str
    module: str
    task: str | None
    done: str
    groups: Collection[str]
    without: Collection[str] = ()


#: Module of a command -> what it reads.
_READ = {"images": "images (PNG, JPEG, WebP, TIFF, ...)", "videos": "videos (MP4, MOV, MKV, WebM, ...)"}

_FILES = ("files", "images", "seeing", "saved faces")
_PASTED = ("restoration", "size", "pasting")
_FACES = ("detection", "selection", "models", "speed")
_VIDEO = ("files", "videos", *_PASTED, "steadiness", *_FACES)
_OF_RESTORER = ("suffix", "model", "parser", "compile", "batch")

COMMANDS: Mapping[str, Command] = {
    "fix": Command("restore the faces in images", "images", "restoration", "restored", (*_FILES, *_PASTED, *_FACES)),
    "colorize": Command(
        "give colours to the faces in images", "images", "colorization", "coloured", (*_FILES, "colours", "pasting", *_FACES)
    ),
    "inpaint": Command(
        "fill the missing parts of faces in images", "images", "inpainting", "filled", (*_FILES, "holes", *_FACES), ("parser",)
    ),
    "video": Command("restore the faces in videos", "videos", "restoration", "restored", _VIDEO, ("fidelity_mask", "page")),
    "crop": Command(
        "cut aligned faces out of images, to train with", "images", None, "cut out", ("files", "crops", *_FACES), _OF_RESTORER
    ),
}

#: Action of `codeformer models` -> (what it does, how many names it takes).
_ACTIONS = {
    "list": ("every known file, whether it is here, its size, address, hash and licence", None),
    "fetch": ("fetch files, after saying how large they are and under which licence", "+"),
    "verify": ("check that files are the published ones", "*"),
    "where": ("the folders that are looked in", None),
}


class _Parser(argparse.ArgumentParser):
    """Says what a misspelt command may have meant."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # argparse has no public way
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            hint = did_you_mean(value, action.choices)
            if Path(value).exists():
                hint = f" Say what to do with it, as in `codeformer fix {value} -o OUT`."
            raise argparse.ArgumentError(action, f"{value!r} is none of {', '.join(action.choices)}.{hint}")
        super()._check_value(action, value)


class _ShowVersion(argparse.Action):
    """`action="version"`, but the version is looked up only when asked for: that takes as long as all of --help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from .. import __version__

        print(f"codeformer {__version__}")
        parser.exit()


def build_parser(defaults: Arguments = Arguments()) -> argparse.ArgumentParser:
    """The parser of every command; the options are those of `defaults`, see `add_options`."""
    parser = _Parser(
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
        command.epilog = "MASK is an image, white where it applies; or a folder with one of the same name for each input."
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
    parser.add_argument("-q", "--quiet", action="store_true", help="nothing but errors")
    parser.set_defaults(module=module, subparser=parser)
    return parser


def add_options(
    parser: argparse.ArgumentParser, groups: Collection[str], without: Collection[str], defaults: Arguments
) -> None:
    """Add the options of a dataclass that are in these groups, without the fields of these names."""
    for key, heading in GROUPS.items():
        if key in groups:
            group = parser.add_argument_group(*heading)
            for field in option_fields(defaults):
                if field.group == key and field.about.command_line and field.path[-1] not in without:
                    _add(group, field)


def _add(group: argparse._ArgumentGroup, field: OptionField) -> None:
    about, dest = field.about, ".".join(field.path)
    if about.switches:
        either = group.add_mutually_exclusive_group()
        for flag, value, text in about.switches:
            either.add_argument(flag, dest=dest, action="store_const", const=value, help=text)
        return
    switch = {"action": "store_const", "const": not field.default}
    how = switch if isinstance(field.default, bool) else _value(field)
    if about.alone is not None:
        how |= {"nargs": "?", "const": about.alone}
    group.add_argument(*field.flags, dest=dest, help=_help(field), **how)


def _value(field: OptionField) -> dict[str, Any]:
    """How argparse reads the value of an option, and what stands for it in the help."""
    about, kinds = field.about, _kinds(field.type)
    low, high = (about.span or (1, 0))[:2]
    read, metavar = about.read or str, None
    if about.choices:
        read, metavar = one_of(about.choices), f"{{{','.join(about.choices).replace(' ', '-')}}}"
    elif float in kinds:
        read, metavar = number(float, *(about.limits or (low, high))), "N"
    elif int in kinds:  # without a largest one, and 0 where the widget has it
        read, metavar = number(int, about.limits[0] if about.limits else low, zero=low == 0), "N"
    how = {"type": read, "metavar": about.metavar or metavar}
    if tuple in kinds:
        how |= {"action": "append"} if about.read else {"type": listed(read, alone=float in kinds)}
    return how


def _kinds(annotation: Any) -> set[Any]:
    """The types in an annotation: {float, tuple, ...} of `float | tuple[float, ...]`."""
    return {get_origin(annotation) or annotation}.union(*map(_kinds, get_args(annotation)))


def _help(field: OptionField) -> str:
    about, default, notes = field.about, field.default, []
    text = f"Turns this off: {about.help}" if default is True else about.help
    for choice in about.choices:
        text = text.replace(f"{choice}: ", f"{choice.replace(' ', '-')}: ")
    if about.choices and about.metavar:
        text += f" PART is one of {', '.join(about.choices)}."
    if default not in (None, "", ()) and not isinstance(default, bool):
        notes.append("default " + (f"{default:g}" if isinstance(default, float) else str(default).replace(" ", "-")))
    if isinstance(about.alone, float):
        notes.append(f"{about.alone:g} if no value is given")
    return f"{text} ({'; '.join(notes)})".removesuffix(" ()").replace("%", "%%")


def parsed_arguments(namespace: argparse.Namespace, defaults: Arguments = Arguments()) -> Arguments:
    """The values of a parsed command line over the defaults; `typed` tells which options were there."""
    known = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(namespace).items()
        if hasattr(defaults, name.partition(".")[0])
    }
    values = {tuple(name.split(".")): value for name, value in known.items()}
    return with_values(defaults, values | {("typed",): frozenset(known)})
