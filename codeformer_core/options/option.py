"""Declare options as dataclass fields: range, choices, help and labels are kept in the field's metadata."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, NamedTuple, get_args, get_origin


class Numbers(NamedTuple):
    """The numbers that an option takes: from `low` to `high`, with `zero` 0 as well; whole ones only, or any."""

    low: float = -math.inf
    high: float = math.inf
    zero: bool = False
    whole: bool = False

    @property
    def noun(self) -> str:
        """What one is called."""
        return "a whole number" if self.whole else "a number"

    def __contains__(self, value: object) -> bool:
        number: Any = value
        return self.low <= number <= self.high or (self.zero and number == 0)

    def __str__(self) -> str:
        to = "on" if self.high == math.inf else f"to {self.high:g}"
        return f"{self.noun} from {self.low:g} {to}{', or 0' if self.zero else ''}"


@dataclass(frozen=True)
class Option:
    """The metadata of an option, for the browser and the command line.

    Attributes:
        help: one line that a photographer understands.
        span: of a number: the least, the largest, and how finely a widget moves between them.
        choices: what may be chosen; empty for numbers and switches.
        label: what the widget is called, where that is not the field's name.
        widget: the widget's id, where that is not the field's name. Ids never change: saved workflows name them.
        flag: the command line's words, where that is not the field's name with dashes; several with spaces between them.
        switches: flags for single values, instead of one that takes any: (flag, value, help).
        metavar: what stands for the value in the command line's help.
        alone: the value when the flag stands alone, where it may.
        read: what makes the value of the command line's text, where that is not a number or one of the choices.
        repeated: the command line takes it several times.
        limits: the least and largest number there may be, where the span of a widget is narrower. There is no largest whole
            number, and 0 is allowed where the span begins with it.
        group: the heading in the command line's help, where that is not "restoration" or the nested dataclass.
        command_line: whether the command line has it.
        advanced: shown among the advanced widgets only.
        slider: shown as a slider.
        node: whether the nodes that do the whole job show it; others are inputs of a node of their own.
    """

    help: str
    span: tuple[float, float, float] | None = None
    choices: tuple[str, ...] = ()
    label: str | None = None
    widget: str | None = None
    flag: str | None = None
    switches: tuple[tuple[str, Any, str], ...] = ()
    metavar: str | None = None
    alone: Any = None
    read: Callable[[str], Any] | None = None
    repeated: bool = False
    limits: tuple[float, float] | None = None
    group: str | None = None
    command_line: bool = True
    advanced: bool = True
    slider: bool = False
    node: bool = True

    def numbers(self, whole: bool) -> Numbers:
        """The numbers that it takes, on the command line and in Python; widgets move within the span alone."""
        low, high = self.limits or (self.span or Numbers())[:2]
        if whole:
            return Numbers(low, zero=low > 0 and bool(self.span) and self.span[0] == 0, whole=True)
        return Numbers(low, high)


def option(default: Any, help: str, **about: Any) -> Any:
    """A dataclass field with the metadata of an `Option`."""
    return field(default=default, metadata={"option": Option(help, **about)})


class OptionField(NamedTuple):
    """One option: the path to its field, the field's default and annotation, and its metadata."""

    path: tuple[str, ...]
    default: Any
    about: Option
    type: Any

    @property
    def widget(self) -> str:
        """The id of its widget."""
        return self.about.widget or self.path[-1]

    @property
    def flags(self) -> list[str]:
        """Its words on the command line."""
        return (self.about.flag or "--" + self.path[-1].replace("_", "-")).split()

    @property
    def group(self) -> str:
        """Its heading in the command line's help."""
        return self.about.group or {"options": "restoration"}.get(self.path[-2], self.path[-2])


def option_fields(options: Any) -> Iterator[OptionField]:
    """Every option of a dataclass of options, with those of the dataclasses in it, in the order of the fields."""
    for one in fields(options):
        value = getattr(options, one.name)
        if is_dataclass(value):
            yield from (inner._replace(path=(one.name, *inner.path)) for inner in option_fields(value))
        elif "option" in one.metadata:
            yield OptionField((one.name,), value, one.metadata["option"], one.type)


def kinds(annotation: Any) -> set[Any]:
    """The types in an annotation: {float, tuple, ...} of `float | tuple[float, ...]`."""
    return {get_origin(annotation) or annotation}.union(*map(kinds, get_args(annotation)))


def check_options(options: Any) -> None:
    """Raise a ValueError or TypeError for a value that is none of an option's choices, or a number that it does not take."""
    for one in fields(options):
        value, default, about = getattr(options, one.name), one.default, one.metadata.get("option")
        if is_dataclass(default) and not isinstance(value, type(default)):
            raise TypeError(f"Found {value!r} as {one.name}. Expected {type(default).__name__}(...).")
        if about and about.choices and isinstance(default, str) and value not in about.choices:
            raise ValueError(f"{value!r} is no choice for {one.name}. Use one of: {', '.join(about.choices)}.")
        if isinstance(default, bool):
            if not (hasattr(value, "__bool__") and value in (False, True)):
                raise TypeError(f"Found {value!r} as {one.name}. Expected True or False.")
        elif isinstance(default, (int, float)):
            types = kinds(one.type)
            _check_numbers(one.name, value, default, (about or Option("")).numbers(int in types), tuple in types)


def _check_numbers(name: str, value: Any, default: float, expected: Numbers, many: bool) -> None:
    several = many and isinstance(value, tuple)
    for number in value if several else (value,):
        if not hasattr(number, "__float__") or getattr(number, "shape", ()):  # arrays have it too
            tuples = "; several in a tuple" if many else ""
            raise TypeError(f"Found {number!r} as {name}. Expected a number, as {default!r}{tuples}.")
        if number not in expected:
            raise ValueError(f"Found {number} as {name}. Expected {expected}.")
        if expected.whole and not hasattr(number, "__index__"):
            raise TypeError(f"Found {number} as {name}. Expected {expected.noun}, as {default!r}.")
    if several and not value:
        raise ValueError(f"Found no number as {name}. Expected one or more, as ({default!r},).")


def with_values(options: Any, values: Mapping[tuple[str, ...], Any]) -> Any:
    """The same options with other values, by path: {("selection", "count"): 1}."""
    for (name, *rest), value in values.items():
        inner = with_values(getattr(options, name), {tuple(rest): value}) if rest else value
        options = replace(options, **{name: inner})
    return options
