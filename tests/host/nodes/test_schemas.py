"""Ids, order, types, ranges and defaults of every socket and widget are those that saved workflows count on.

A workflow saves the values of widgets as a list without names, and links by the place of a socket: `schemas.json` may gain
lines at the end of a list. CODEFORMER_RECORD=1 writes it anew (docs/add-a-node.md).
"""

from pathlib import Path
from typing import Any

from .conftest import recorded

SAVED_WITH_NODES = ("default", "min", "max", "step", "options", "advanced")

#: Combos whose options are the files of this computer.
FILES = {"model_name", "model"}


def input_line(entry: Any) -> str:
    """An input as a line of the record."""
    facts = {key: value for key, value in entry.as_dict().items() if key in SAVED_WITH_NODES and value is not None}
    if entry.id in FILES:
        facts.pop("options", None)
    required = "optional" if entry.optional else "required"
    return ", ".join([f"{entry.id}: {required} {entry.get_io_type()}", *(f"{key} {value!r}" for key, value in facts.items())])


def test_schemas_are_as_recorded(pack):
    schemas = {name: node.GET_SCHEMA() for name, node in pack.nodes.items()}
    lines = {
        name: {
            "inputs": [input_line(entry) for entry in schema.inputs],
            "outputs": [f"{entry.id}: {entry.get_io_type()}" for entry in schema.outputs],
        }
        for name, schema in schemas.items()
    }
    assert lines == recorded(Path(__file__).with_name("schemas.json"), lines)


def test_every_widget_with_a_default_may_be_left_out(pack):
    """What fills it in is `completed`, around `execute`."""
    for name, node in pack.nodes.items():
        assert hasattr(node.execute, "__wrapped__"), name
        for entry in node.GET_SCHEMA().inputs:
            assert entry.optional or getattr(entry, "default", None) is None, f"{name}.{entry.id}"


def test_largest_size_in_select_faces_takes_fractions_of_a_pixel(pack):
    """Once it turned into the whole number that Fix Faces has for the same option."""
    widgets = {entry.id: entry for entry in pack.nodes["CodeFormerFaceSelect"].GET_SCHEMA().inputs}
    assert (widgets["max_size"].get_io_type(), widgets["max_size"].display_name) == ("FLOAT", "largest size")
    largest = {entry.id: entry for entry in pack.nodes["CodeFormerFixFaces"].GET_SCHEMA().inputs}["largest"]
    assert (largest.get_io_type(), largest.display_name) == ("INT", "skip larger than")
