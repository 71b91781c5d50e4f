"""The orders that the faces of a picture can be put in."""

from collections.abc import Callable
from typing import NamedTuple

from .faces import Face

Size = tuple[int, int]


class Order(NamedTuple):
    """An order of faces: smallest `key(face, (H, W))` first, and how a reason names it."""

    key: Callable[[Face, Size], float]
    counted: str
    best: str


def _visible_area(face: Face, size: Size) -> float:
    x0, y0, x1, y1 = face.box
    return max(0.0, min(x1, size[1]) - max(x0, 0.0)) * max(0.0, min(y1, size[0]) - max(y0, 0.0))


def _from_centre(face: Face, size: Size) -> float:
    return (face.centre[0] - size[1] / 2) ** 2 + (face.centre[1] - size[0] / 2) ** 2


#: The orders to choose from. Size is the area of the box inside the picture.
ORDERS: dict[str, Order] = {
    "found": Order(lambda face, size: 0.0, "in the order they were found", "the first face that was found"),
    "size": Order(lambda face, size: -_visible_area(face, size), "from the largest", "the largest face of the picture"),
    "left": Order(lambda face, size: face.centre[0], "from the left", "the leftmost face"),
    "top": Order(lambda face, size: face.centre[1], "from the top", "the topmost face"),
    "confidence": Order(lambda face, size: -face.score, "from the most certain", "the most certain face"),
    "center": Order(_from_centre, "from the centre", "the face nearest to the centre"),
}
