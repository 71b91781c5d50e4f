"""The names in the options are the keys of the tables that they choose from."""

import math

import numpy as np
import pytest

from codeformer_core.faces import Face
from codeformer_core.imaging import colour
from codeformer_core.masks import parsing, styles
from codeformer_core.options import fix, option_fields, selection, steadiness, with_values
from codeformer_core.selection import select


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (fix.COLOURS, ("auto", *colour.COLOURS)),
        (fix.MASKS, ("auto", *styles.MASKS)),
        (fix.PARTS, parsing.PART_CLASSES),
        (selection.ORDERS, select.ORDERS),
    ],
    ids=["colours", "masks", "parts", "orders"],
)
def test_names_of_options_are_those_of_their_table(names, table):
    assert names == tuple(table)


def test_every_choice_of_faces_has_an_order():
    faces = [Face(0, (x, 0.0, x + 9.0, 9.0), ((0.0, 0.0),) * 5, 1.0) for x in (0.0, 20.0)]
    for choice in selection.CHOICES:
        kept, _ = select.select(faces, (10, 30), selection.Selection(choice=choice, duplicates=True))
        assert len(kept) == (2 if choice == "all" else 1)


@pytest.mark.parametrize(("given", "word"), [(True, "on"), (False, "off"), ("auto", "auto")])
def test_keep_detail_may_still_be_a_switch(given, word):
    assert fix.FixOptions(keep_detail=given).keep_detail == word


@pytest.mark.parametrize("name", [one.path for one in option_fields(fix.FixOptions()) if one.about.choices and one.default])
def test_a_word_that_is_no_choice_is_refused_where_it_is_given(name):
    with pytest.raises(ValueError, match="'vivid' is no choice for .*. Use one of: "):
        with_values(fix.FixOptions(), {name: "vivid"})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"fidelity": "0.5"}, "Found '0.5' as fidelity. Expected a number"),
        ({"fidelity": [0.2, 0.8]}, r"Found \[0.2, 0.8\] as fidelity. Expected a number, as 0.5; several in a tuple"),
        ({"upscale": None}, "Found None as upscale. Expected a number"),
        ({"selection": "left"}, r"Found 'left' as selection. Expected Selection\(...\)"),
        ({"detection": None}, r"Found None as detection. Expected DetectionOptions\(...\)"),
    ],
)
def test_a_value_of_another_type_is_refused_where_it_is_given(wrong, says):
    with pytest.raises(TypeError, match=says):
        fix.FixOptions(**wrong)


@pytest.mark.parametrize(
    ("options", "wrong", "says"),
    [
        (selection.Selection, {"count": -1}, "Found -1 as count. Expected a whole number from 0 on"),
        (fix.FixOptions, {"feather": -1}, "Found -1 as feather. Expected a whole number from 0 on"),
        (fix.FixOptions, {"batch": 2.5}, "Found 2.5 as batch. Expected a whole number, as 0"),
        (fix.FixOptions, {"fidelity": ()}, "Found no number as fidelity. Expected one or more"),
        (fix.FixOptions, {"fidelity": (0.5, 1.5)}, "Found 1.5 as fidelity. Expected a number from 0 to 1"),
        (fix.FixOptions, {"upscale": math.inf}, "Found inf as upscale. Expected a number from 0.01 to 16"),
        (fix.FixOptions, {"blend": math.nan}, "Found nan as blend. Expected a number from 0 to 1"),
        (fix.FixOptions, {"fidelity": np.array([0.2, 0.8])}, "as fidelity. Expected a number, as 0.5; several in a tuple"),
        (fix.FixOptions, {"upscale": (1, 2)}, r"Found \(1, 2\) as upscale. Expected a number, as 1.0.$"),
        (fix.FixOptions, {"match_style": "yes"}, "Found 'yes' as match_style. Expected True or False"),
        (steadiness.Steadiness, {"window": 2.5}, "Found 2.5 as window. Expected a whole number, as 5"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_number_outside_its_range_is_refused_where_it_is_given(options, wrong, says):
    with pytest.raises((TypeError, ValueError), match=says):
        options(**wrong)


def test_numbers_of_numpy_are_numbers():
    assert fix.FixOptions(fidelity=np.float32(0.5), batch=np.int64(2)).fidelity == 0.5


def test_an_unknown_way_to_keep_detail_is_refused():
    with pytest.raises(ValueError, match="'yes' is no choice for keep detail. Use one of: auto, on, off"):
        fix.FixOptions(keep_detail="yes")
