"""The English words of the nodes as the browser shows them: those of the schemas, and of locales/en/nodeDefs.json over them."""

import json
from pathlib import Path
from typing import Any

from comfy_api.latest import io

ROOT = Path(__file__).resolve().parents[3]

#: Combos of files and formats, whose options are names in every language.
NAMED_ALIKE = {"model_name", "model", "facedetection", "codec"}


def english_words(nodes: dict[str, Any]) -> dict[str, Any]:
    """Node id -> its words, in the layout of nodeDefs.json."""
    return merged(schema_words(nodes), overrides())


def overrides() -> dict[str, Any]:
    """The English words that no schema has."""
    return json.loads((ROOT / "locales/en/nodeDefs.json").read_text(encoding="utf-8"))


def schema_words(nodes: dict[str, Any]) -> dict[str, Any]:
    """What the browser shows where nodeDefs.json says nothing."""
    return {name: _definition(node.GET_SCHEMA()) for name, node in nodes.items()}


def merged(words: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """The first dictionary with the texts of the second put over it, at every depth."""
    inner = {key: merged(words.get(key, {}), value) if isinstance(value, dict) else value for key, value in over.items()}
    return words | inner


def inputs(schema: Any) -> dict[str, list[Any]]:
    """Inputs by the name that the browser looks for; those that hang on a choice of a combo once for each choice."""
    by_name: dict[str, list[Any]] = {}
    for entry in schema.inputs:
        by_name.setdefault(entry.id, []).append(entry)
        for choice in entry.options if isinstance(entry, io.DynamicCombo.Input) else []:
            for nested in choice.inputs:
                by_name.setdefault(f"{entry.id}_{nested.id}", []).append(nested)
    return by_name


def has_widget(entry: Any) -> bool:
    """Whether an input is a widget, not only a socket."""
    return isinstance(entry, (io.WidgetInput, io.DynamicCombo.Input)) and not getattr(entry, "force_input", False)


def _definition(schema: Any) -> dict[str, Any]:
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": {id: _input(entries[0]) for id, entries in inputs(schema).items()},
        "outputs": {
            str(index): {"name": entry.display_name or entry.io_type, "tooltip": entry.tooltip or ""}
            for index, entry in enumerate(schema.outputs)
        },
    }


def _input(entry: Any) -> dict[str, Any]:
    words = {"name": entry.display_name or entry.id, "tooltip": entry.tooltip or ""}
    if isinstance(entry, io.Combo.Input) and entry.id not in NAMED_ALIKE:
        words["options"] = {option: option for option in entry.options}
    return words
