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
        (fix.COLOURS, colour.COLOURS),
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
