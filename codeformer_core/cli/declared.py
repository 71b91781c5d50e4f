"""argparse options out of the fields of `Arguments` (and of `FixOptions` in it), and its value out of what was parsed."""

import argparse
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, get_args, get_origin

from ..options import OptionField, option_fields, with_values
from .arguments import Arguments, ExistingPath, JsonPath
from .values import between, existing, json_file, listed, named, one_of, whole

#: The headings of the help: key -> (title, what is said below it). Keys of one title are shown together.
GROUPS: dict[str, tuple[str, str | None]] = {
    "files": ("files", None),
    "images": ("files", None),
    "crops": ("files", None),
    "videos": ("files", None),
    "restoration": ("restoration", None),
    "colours": ("colours", None),
    "holes": ("what is filled", "the white of a mask; without one, white brush strokes in the picture"),
    "steadiness": ("steadiness", "faces are tracked from frame to frame, so that they do not flicker"),
    "size": ("size", "upscalers are realesrgan-x2plus, realesrgan-x4plus or the path of a file"),
    "detection": ("finding faces", None),
    "saved faces": ("faces in files", None),
    "selection": ("which faces", "all, unless something is said here"),
    "pasting": ("where a face is pasted", None),
    "models": ("models", "names as in `codeformer models list`, or paths of files"),
    "speed": ("speed", None),
}

#: Annotation -> what reads its values.
_TYPES: dict[Any, Callable[[str], Any]] = {Path: named, ExistingPath: existing, JsonPath: json_file, str: str}


def add_options(
    parser: argparse.ArgumentParser, groups: Collection[str], without: Collection[str] = (), defaults: Any = Arguments()
) -> None:
    """Add the options of some groups.

    Args:
        groups: keys of `GROUPS`.
        without: names of fields that are left out.
        defaults: the dataclass whose options are added.
    """
    headings: dict[str, argparse._ArgumentGroup] = {}
    fields = [field for field in option_fields(defaults) if field.about.command_line and field.path[-1] not in without]
    for key, (title, text) in GROUPS.items():
        for field in fields:
            if field.group == key and key in groups:
                headings.setdefault(title, parser.add_argument_group(title, text) if title not in headings else headings[title])
                _add(headings[title], field)


def _add(group: argparse._ArgumentGroup, field: OptionField) -> None:
    about, dest = field.about, ".".join(field.path)
    if about.switches:
        either = group.add_mutually_exclusive_group()
        for flag, value in about.switches:
            either.add_argument(flag, dest=dest, action="store_const", const=value, help=f"{_escaped(about.help)} ({value})")
    elif isinstance(field.default, bool):
        text = f"Turns this off: {about.help}" if field.default else about.help
        group.add_argument(*field.flags, dest=dest, action="store_const", const=not field.default, help=_escaped(text))
    else:
        read, metavar = value_type(field)
        how: dict[str, Any] = {"action": "append"} if field.type == tuple[Path, ...] else {}
        if about.alone is not None:
            how = {"nargs": "?", "const": about.alone}
        group.add_argument(*field.flags, dest=dest, type=read, metavar=about.metavar or metavar, help=_help(field), **how)


def value_type(field: OptionField) -> tuple[Callable[[str], Any], str | None]:
    """What reads the value of an option, and what stands for the value in the help."""
    about = field.about
    kinds = [kind for kind in (field.type, *get_args(field.type)) if kind not in (type(None), Ellipsis)]
    sequence = next((kind for kind in kinds if get_origin(kind) is tuple), None)
    kind = get_args(sequence)[0] if sequence else next(kind for kind in kinds if not get_args(kind))
    if kind in (int, float):
        low, high = about.limits or (about.span[:2] if about.span else (1, 0))
        read = whole(int(low), about.zero) if kind is int else between(low, high)
        metavar = "N"
    elif about.choices:
        read, metavar = one_of(about.choices), f"{{{','.join(about.choices).replace(' ', '-')}}}"
    else:
        read, metavar = _TYPES[kind], None
    several = sequence is not None and kind is not Path
    return listed(read, alone=float in kinds) if several else read, metavar


def _help(field: OptionField) -> str:
    about, default = field.about, field.default
    text = f"{about.help} {', '.join(about.choices)}." if about.choices and about.metavar else about.help
    notes = []
    if default not in (None, "", ()):
        notes.append("default " + (f"{default:g}" if isinstance(default, float) else str(default).replace(" ", "-")))
    if about.alone is not None:
        notes.append(f"{about.alone:g} if no value is given")
    return _escaped(f"{text} ({'; '.join(notes)})" if notes else text)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def typed_arguments(namespace: argparse.Namespace, defaults: Any = Arguments()) -> Any:
    """The `Arguments` of a parsed command line; `typed` tells which options were there."""
    parsed = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(namespace).items()}
    known = {name: value for name, value in parsed.items() if hasattr(defaults, name.partition(".")[0])}
    values = {tuple(name.split(".")): value for name, value in known.items()}
    return with_values(defaults, values | {("typed",): frozenset(known)})
