"""Configurations and recipes as TOML files: read, changed by single settings, shown, explained."""

import dataclasses
import difflib
import inspect
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from .config import Config, Degradation

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Configurations and recipes that come with the package, by their names without ".toml".
PRESETS, RECIPES = (Path(__file__).resolve().parent / folder for folder in ("presets", "recipes"))


def read(path: Path | str, changes: Sequence[str] = ()) -> Config:
    """A TOML file, or the name of a preset, as a configuration; paths in it are relative to the current folder.

    Args:
        changes: settings that take the place of the file's, such as "steps=500" or "faces.folder=crops".

    Raises:
        ValueError: no such file, no TOML, or unknown names or wrong values.
    """
    content = _toml(path, PRESETS)
    for change in changes:
        _set(content, change)
    return _table(Config, content, str(path))


def read_recipe(path: Path | str) -> Degradation:
    """A TOML file, or the name of a recipe, as a degradation.

    Raises:
        ValueError: see `read`.
    """
    return _table(Degradation, _toml(path, RECIPES), str(path))


def show(config: Config) -> str:
    """A configuration as a TOML file with every setting, each explained."""
    return "\n".join(_shown(config)) + "\n"


def settings(kind: type = Config, table: str = "") -> Iterator[tuple[str, str, Any, str]]:
    """Every setting: table ("" for those outside of tables), name, default (`MISSING` where there is none), explanation."""
    nested, told, types = [], _comments(kind), get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(types[field.name]):
            nested.append((types[field.name], field.name))
        else:
            yield table, field.name, field.default, told[field.name]
    for inner, name in nested:
        yield from settings(cast(type, inner), name)


def _comments(kind: type) -> dict[str, str]:
    """What the source says of each field: behind it, or in the list of attributes of the docstring."""
    return dict(re.findall(r"^    (?:    (?=.*\.$)|(?=.*  # ))(\w+): (?:.*  # )?(.+)$", inspect.getsource(kind), re.MULTILINE))


def _shown(value: Any) -> Iterator[str]:
    told = _comments(type(value))
    found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for name, one in found.items():
        if one is None:
            yield f"# {name} =  # {told[name]}"
        elif not dataclasses.is_dataclass(one):
            yield f"{name} = {json.dumps(str(one) if isinstance(one, Path) else one, ensure_ascii=False)}  # {told[name]}"
    for name, one in found.items():
        if dataclasses.is_dataclass(one):
            yield from ("", f"[{name}]", *_shown(one))


def _set(content: dict[str, Any], change: str) -> None:
    """Change one setting of a file's content, named alone or with its table: `steps=500`, `optimiser.steps=500`."""
    key, equals, text = change.partition("=")
    key, known = key.strip(), {}
    for table, name, *_ in settings():
        known |= {name: (table, name), f"{table}.{name}".removeprefix("."): (table, name)}
    if not equals:
        raise ValueError(f"--set {change} has no value. Say --set {key}=VALUE.")
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"--set {change}: there is no setting {key}.{hint} `--show` prints all of them.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:  # a word without quotation marks, such as a path
        value = text.strip()
    table, name = known[key]
    place = content.setdefault(table, {}) if table else content
    if not isinstance(place, dict):
        raise ValueError(f"--set {change}: the file says {table} = {place!r}; expected a table, [{table}].")
    place[name] = value


def _toml(path: Path | str, shipped: Path) -> dict[str, Any]:
    """The content of a TOML file, or of one that comes with the package."""
    named = shipped / f"{path}.toml"
    file = named if named.is_file() else Path(os.path.expanduser(path))
    if not file.is_file():
        names = ", ".join(sorted(one.stem for one in shipped.glob("*.toml")))
        raise ValueError(f"{path} {'is a folder' if file.is_dir() else 'does not exist'}. Name a TOML file, or one of {names}.")
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}.") from error


def _table(kind: type[Any], content: Mapping[str, Any], where: str) -> Any:
    """A TOML table as an instance of the dataclass `kind`."""
    types = get_type_hints(kind)
    if unknown := [name for name in content if name not in types]:
        raise ValueError(f"{where} says {', '.join(unknown)}; expected {', '.join(types)}.")
    required = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]
    if missing := [name for name in required if name not in content]:
        raise ValueError(f"{where} does not say {', '.join(missing)}.")
    return kind(**{name: _value(types[name], value, f"{where}: {name}") for name, value in content.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    """A TOML value as a field of type `kind`; of `X | None`, as X."""
    kind = next(iter(get_args(kind)), kind) if isinstance(kind, UnionType) else kind
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {value!r}; expected a table, [{where.rpartition(' ')[2]}].")
        return _table(cast(type, kind), value, where)
    if kind == tuple[float, float]:
        if not (isinstance(value, list) and len(value) == 2 and all(type(bound) in (int, float) for bound in value)):
            raise ValueError(f"{where} is {value!r}; expected a range of two numbers, such as [1, 15].")
        return (float(value[0]), float(value[1]))
    if kind == tuple[int, ...]:
        return tuple(_value(int, item, where) for item in _value(list, value, where))
    if kind is Path:
        return Path(os.path.expanduser(_value(str, value, where)))
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if _value(type(choices[0]), value, where) not in choices:
            raise ValueError(f"{where} is {value!r}; expected one of {', '.join(map(str, choices))}.")
        return value
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"{where} is {value!r}; expected {kind.__name__}.")
    return kind(value)
