"""The parser of the command line, with options from the fields of `Arguments`; and `Arguments` from what was parsed."""

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .. import checkpoints
from ..options import OptionField, option_fields, with_values
from ..options.option import kinds
from .arguments import Arguments
from .commands import ACTIONS, COMMANDS, GROUPS, READ, WRITTEN
from .values import did_you_mean, listed, model, named, number, one_of

_FIDELITY = "options.fidelity"


#: Options of its groups that `codeformer evaluate` does not have.
_NOT_EVALUATED = (
    "recipe",
    "fidelity_mask",
    "second_model",
    "mix",
    "match_style",
    "keep_detail",
    "grey",
    "parser",
    "compile",
    "batch",
)


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
        epilog="Begin with `codeformer fix photo.jpg -o out`. Help on a command: `codeformer fix --help`.",
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, one in COMMANDS.items():
        command = _add_parser(commands, name, one.help, one.module, f"codeformer {name} PATH... -o OUT [options]")
        command.add_argument("paths", nargs="+", type=named, metavar="PATH", help=f"{READ[one.module]} and folders of them")
        out = WRITTEN.get(name, "folder for the results; or a file, for one input")
        command.add_argument("-o", "--out", type=named, help=out)
        if "images" in one.groups or "videos" in one.groups:
            command.epilog = "MASK is an image, white where it applies; or a folder with one of the same name for each input."
        add_options(command, one.groups, one.without, defaults)
    train = _add_parser(commands, "train", "train a network of your own", "train", "codeformer train CONFIG [options]")
    train.add_argument("config", metavar="CONFIG", help="a TOML file, or the name of one that comes with the program")
    add_options(train, ("training",), (), defaults)
    evaluate = _add_parser(
        commands,
        "evaluate",
        "measure how good restored images are",
        "evaluate",
        "codeformer evaluate RESTORED... [--truth DIR] [options]\n"
        "       codeformer evaluate --model MODEL --truth DIR --degrade RECIPE [options]",
    )
    evaluate.add_argument("paths", nargs="*", type=named, metavar="RESTORED", help="folders of restored images")
    evaluate.add_argument("-o", "--out", type=named, help="folder for tables, a contact sheet and a plot")
    add_options(evaluate, ("restoration", "evaluation", "degradation", "models", "speed"), _NOT_EVALUATED, defaults)
    models = _add_parser(
        commands, "models", "list, fetch and verify model files", "models", "codeformer models ACTION [options]"
    )
    actions = models.add_subparsers(metavar="ACTION", prog="codeformer models", dest="action")
    models.set_defaults(action=defaults.action)
    for name, (text, count) in ACTIONS.items():
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
    about, types = field.about, kinds(field.type)
    read, metavar = about.read or str, None
    if about.choices:
        read, metavar = one_of(about.choices), f"{{{','.join(about.choices).replace(' ', '-')}}}"
    elif types & {int, float}:
        read, metavar = number(about.numbers(whole=float not in types)), "N"
    how = {"type": read, "metavar": about.metavar or metavar}
    if tuple in types and not about.read:
        how["type"] = listed(read, alone=float in types)
    return how | {"action": "append"} if about.repeated or (tuple in types and about.read) else how


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
    fidelities = tuple(dict.fromkeys(known.get(_FIDELITY, ())))
    if fidelities:  # several are for several results
        values |= {tuple(_FIDELITY.split(".")): fidelities[0], ("fidelities",): fidelities if len(fidelities) > 1 else ()}
    return with_values(defaults, values | {("typed",): frozenset(known)})
