"""The names in the options are the keys of the tables that they choose from."""

import pytest

from codeformer_core.faces import Face
from codeformer_core.imaging import colour
from codeformer_core.masks import parsing, styles
from codeformer_core.options import fix, selection
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


def test_an_unknown_way_to_keep_detail_is_refused():
    with pytest.raises(ValueError, match="'yes' is no choice for keep detail. Use one of: auto, on, off"):
        fix.FixOptions(keep_detail="yes")
