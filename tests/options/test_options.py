"""The names in the options are the keys of the tables that they choose from."""

import pytest

from codeformer_core.imaging import colour
from codeformer_core.masks import parsing, styles
from codeformer_core.options import fix, selection
from codeformer_core.selection import select


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (fix.COLOURS, colour.COLOURS),
        (fix.MASKS, styles.MASKS),
        (fix.PARTS, parsing.PART_CLASSES),
        (selection.ORDERS, select.ORDERS),
    ],
    ids=["colours", "masks", "parts", "orders"],
)
def test_names_of_options_are_those_of_their_table(names, table):
    assert names == tuple(table)


def test_every_choice_of_faces_has_an_order():
    assert set(selection.CHOICES) == {"all", *select._ORDER_OF_CHOICE}
