"""Group the faces of many images by person, number the people, and keep their descriptions in a file."""

import json
import math
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from . import SAME_PERSON

FORMAT, VERSION = "codeformer people", 1


def group_people(descriptions: Tensor) -> list[list[int]]:
    """The rows of descriptions (N, 128) by person, the one with most faces first; dlib's Chinese whispers clustering."""
    dlib: Any = import_module("dlib")  # which says no types
    if not len(descriptions):
        return []
    labels = dlib.chinese_whispers_clustering([dlib.vector(row) for row in descriptions.tolist()], SAME_PERSON)
    groups: list[list[int]] = [[] for _ in range(max(labels) + 1)]
    for row, label in enumerate(labels):
        groups[label].append(row)
    return sorted(groups, key=lambda rows: (-len(rows), rows[0]))


def to_json(descriptions: Tensor, groups: list[list[int]]) -> str:
    """The mean description of each person, numbered from 1, as JSON: a line for each."""
    means = [descriptions[rows].mean(0).tolist() for rows in groups]
    people = [
        json.dumps({"number": number, "faces": len(rows), "description": [round(value, 5) for value in mean]})
        for number, (rows, mean) in enumerate(zip(groups, means, strict=True), 1)
    ]
    lines = ",\n".join(people)
    return f'{{"format": "{FORMAT}", "version": {VERSION}, "people": [\n{lines}\n]}}\n'


def from_json(text: str | bytes) -> dict[int, Tensor]:
    """The description (1, 128) of each person in a text of `to_json`, by number.

    Raises:
        ValueError: it is another text.
    """
    try:
        record = json.loads(text)
        if (record["format"], record["version"]) != (FORMAT, VERSION):
            raise ValueError
        people = {int(one["number"]): [float(value) for value in one["description"]] for one in record["people"]}
        if not people or any(len(row) != 128 or not all(map(math.isfinite, row)) for row in people.values()):
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("it is no people.json of this version: let it be written anew") from error
    return {number: torch.tensor([row]) for number, row in people.items()}
