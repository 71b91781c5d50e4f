"""What people are told about an option beside its name and default, kept in the metadata of a dataclass field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Option:
    """What people are told about a field, in the browser and on the command line.

    Attributes:
        help: one line that a photographer understands.
        span: of a number: the least, the largest, and how finely a widget moves between them.
        choices: what may be chosen; empty for numbers and switches.
        label: what the widget is called, where that is not the field's name.
        widget: the widget's id, where that is not the field's name. Ids never change: saved workflows name them.
        flag: the command line's word, where that is not the field's name with dashes.
        advanced: folded away until somebody looks for it.
        slider: shown as a slider.
        node: whether the nodes that do the whole job show it; others are inputs of a node of their own.
    """

    help: str
    span: tuple[float, float, float] | None = None
    choices: tuple[str, ...] = ()
    label: str | None = None
    widget: str | None = None
    flag: str | None = None
    advanced: bool = True
    slider: bool = False
    node: bool = True


def option(default: Any, help: str, **about: Any) -> Any:
    """A dataclass field with what people are told about it, see `Option`."""
    return field(default=default, metadata={"option": Option(help, **about)})


class OptionField(NamedTuple):
    """One option of a fix: where its field is, the field's default, and what people are told about it."""

    path: tuple[str, ...]
    default: Any
    about: Option

    @property
    def widget(self) -> str:
        """The id of its widget."""
        return self.about.widget or self.path[-1]

    @property
    def flag(self) -> str:
        """Its word on the command line."""
        return self.about.flag or "--" + self.path[-1].replace("_", "-")


def option_fields(options: Any) -> Iterator[OptionField]:
    """Every option of a dataclass of options, with those of the dataclasses in it, in the order of the fields."""
    for one in fields(options):
        value = getattr(options, one.name)
        if is_dataclass(value):
            yield from (inner._replace(path=(one.name, *inner.path)) for inner in option_fields(value))
        elif "option" in one.metadata:
            yield OptionField((one.name,), value, one.metadata["option"])


def with_values(options: Any, values: Mapping[tuple[str, ...], Any]) -> Any:
    """The same options with other values, by path: {("selection", "count"): 1}."""
    for (name, *rest), value in values.items():
        inner = with_values(getattr(options, name), {tuple(rest): value}) if rest else value
        options = replace(options, **{name: inner})
    return options
