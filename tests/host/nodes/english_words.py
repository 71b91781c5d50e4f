"""The English words of the nodes as the browser looks for them in nodeDefs.json, taken from the schemas."""

from typing import Any

from comfy_api.latest import io

#: Combos of files and formats, whose options are names in every language.
NAMED_ALIKE = {"model_name", "model", "facedetection", "codec"}

#: Words that no schema may say, see docs/translating.md: node -> input -> its words.
NOT_IN_SCHEMAS = {
    "CodeFormerFixFacesInVideo": {
        "codec_crf": {
            "name": "quality (crf)",
            "tooltip": "Lower is better and larger, as in Save Video. The default looks like the source; "
            "6 more halve the file.",
        }
    },
    "CodeFormerFaceMask": {"occlusion": {"name": "mask"}},
    "CodeFormerOldRestore": {"facerestore_model": {"name": "model"}},
}


def node_definitions(nodes: dict[str, Any]) -> dict[str, Any]:
    """What `locales/en/nodeDefs.json` holds, by the id of a node."""
    return {name: _definition(name, node.GET_SCHEMA()) for name, node in nodes.items()}


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


def _definition(name: str, schema: Any) -> dict[str, Any]:
    extra = NOT_IN_SCHEMAS.get(name, {})
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": {id: _input(entries[0]) | extra.get(id, {}) for id, entries in inputs(schema).items()},
        "outputs": {
            str(index): {"name": entry.display_name or entry.id, "tooltip": entry.tooltip}
            for index, entry in enumerate(schema.outputs)
        },
    }


def _input(entry: Any) -> dict[str, Any]:
    name = entry.display_name or (entry.id if has_widget(entry) else entry.id.replace("_", " "))
    words = {"name": name, "tooltip": entry.tooltip}
    if isinstance(entry, io.Combo.Input) and entry.id not in NAMED_ALIKE:
        words["options"] = {option: option for option in entry.options}
    return words
