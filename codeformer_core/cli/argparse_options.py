"""argparse options from the fields of `Arguments` (and of `FixOptions` in it), and `Arguments` from what was parsed."""

import argparse
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, get_args, get_origin

from ..options import OptionField, option_fields, with_values
from .arguments import Arguments
from .values import listed, number, one_of

#: The headings of the help: group of options -> (title, what is said below it).
GROUPS: dict[str, tuple[str, str | None]] = {
    "files": ("files", None),
    "images": ("images", None),
    "crops": ("face crops", None),
    "videos": ("videos", None),
    "restoration": ("restoration", None),
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


def add_options(
    parser: argparse.ArgumentParser, groups: Collection[str], without: Collection[str], defaults: Arguments
) -> None:
    """Add the options of some groups.

    Args:
        groups: keys of `GROUPS`.
        without: names of fields that are left out.
        defaults: the dataclass whose options are added.
    """
    for key, heading in GROUPS.items():
        if key in groups:
            group = parser.add_argument_group(*heading)
            for field in option_fields(defaults):
                if field.group == key and field.about.command_line and field.path[-1] not in without:
                    _add(group, field)


def _add(group: argparse._ArgumentGroup, field: OptionField) -> None:
    about, default, dest = field.about, field.default, ".".join(field.path)
    if about.switches:
        either = group.add_mutually_exclusive_group()
        for flag, value, text in about.switches:
            either.add_argument(flag, dest=dest, action="store_const", const=value, help=text)
    elif isinstance(default, bool):
        text = f"Turns this off: {about.help}" if default else about.help
        group.add_argument(*field.flags, dest=dest, action="store_const", const=not default, help=_escaped(text))
    else:
        how: dict[str, Any] = {}
        if about.alone is not None:
            how = {"nargs": "?", "const": about.alone}
        elif field.type == tuple[Path, ...]:
            how = {"action": "append"}
        read, metavar = value_type(field)
        group.add_argument(*field.flags, dest=dest, type=read, metavar=about.metavar or metavar, help=_help(field), **how)


def value_type(field: OptionField) -> tuple[Callable[[str], Any], str | None]:
    """What reads the value of an option, and what stands for the value in the help."""
    about, kinds, low_high = field.about, _kinds(field.type), (field.about.span or (1, 0))[:2]
    if about.read:
        return about.read, None
    read, metavar = str, None
    if about.choices:
        read, metavar = one_of(about.choices), f"{{{','.join(about.choices).replace(' ', '-')}}}"
    elif float in kinds:
        read, metavar = number(float, *(about.limits or low_high)), "N"
    elif int in kinds:  # without a largest one, and 0 where the widget has it
        read, metavar = number(int, *(about.limits or low_high)[:1], zero=low_high[0] == 0), "N"
    return (listed(read, alone=float in kinds) if tuple in kinds else read), metavar


def _kinds(annotation: Any) -> set[Any]:
    """The types in an annotation: {float, tuple, ...} of `float | tuple[float, ...]`."""
    return {get_origin(annotation) or annotation}.union(*map(_kinds, get_args(annotation)))


def _help(field: OptionField) -> str:
    about, default = field.about, field.default
    text, notes = about.help, []
    for choice in about.choices:
        text = text.replace(f"{choice}: ", f"{choice.replace(' ', '-')}: ")
    if about.choices and about.metavar:
        text = f"{text} PART is one of {', '.join(about.choices)}."
    if default not in (None, "", ()):
        notes.append("default " + (f"{default:g}" if isinstance(default, float) else str(default).replace(" ", "-")))
    if about.alone is not None:
        notes.append(f"{about.alone:g} if no value is given")
    return _escaped(f"{text} ({'; '.join(notes)})" if notes else text)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def parsed_arguments(namespace: argparse.Namespace, defaults: Arguments = Arguments()) -> Arguments:
    """The values of a parsed command line over the defaults; `typed` tells which options were there."""
    known = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(namespace).items()
        if hasattr(defaults, name.partition(".")[0])
    }
    values = {tuple(name.split(".")): value for name, value in known.items()}
    return with_values(defaults, values | {("typed",): frozenset(known)})
