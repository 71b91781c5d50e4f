"""Select faces: order them, then filter by number, duplicates, limits and position, with a reason for each skipped one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from ..detection.suppression import suppress
from ..faces import Face, Size, Skipped
from ..options.selection import Selection


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


#: One row for each of `options.ORDERS`. Size is the area of the box inside the image.
ORDERS: dict[str, Order] = {
    "found": Order(lambda face, size: 0.0, "in the order they were found", "the first face that was found"),
    "size": Order(lambda face, size: -_visible_area(face, size), "from the largest", "the largest face of the image"),
    "left": Order(lambda face, size: face.centre[0], "from the left", "the leftmost face"),
    "top": Order(lambda face, size: face.centre[1], "from the top", "the topmost face"),
    "confidence": Order(lambda face, size: -face.score, "from the most certain", "the most certain face"),
    "center": Order(_from_centre, "from the centre", "the face nearest to the centre"),
    "smallest": Order(_visible_area, "from the smallest", "the smallest face of the image"),
    "right": Order(lambda face, size: -face.centre[0], "from the right", "the rightmost face"),
    "bottom": Order(lambda face, size: -face.centre[1], "from the bottom", "the lowest face"),
    "uncertain": Order(lambda face, size: face.score, "from the least certain", "the least certain face"),
}


class Measured(NamedTuple):
    """A face with what the limits compare; sharpness and coverage are None where not measured."""

    row: int
    face: Face
    image_size: Size
    sharpness: float | None
    coverage: float | None


def limit_reason(measured: Measured, want: Selection) -> str | None:
    """The first limit that a face does not keep, as the reason to skip it."""
    face, sharpness, coverage = measured.face, measured.sharpness, measured.coverage
    eyes = face.eye_distance if want.eye_distance > 0 else 0.0
    if eyes < want.eye_distance:
        return f"eyes {eyes:.1f} px apart, fewer than {want.eye_distance:g}: too small or seen from the side"
    if face.score < want.confidence:
        return f"confidence {face.score:.3f}, less than {want.confidence:g}"
    percent = 100 * face.pixels / min(measured.image_size)
    for found, low, high, unit in (
        (face.pixels, want.min_size, want.max_size, "px"),
        (percent, want.min_percent, want.max_percent, "% of the image's shorter side"),
    ):
        if found < low:
            return f"{found:.4g} {unit}, smaller than {low:g}"
        if 0 < high < found:
            return f"{found:.4g} {unit}, larger than {high:g}"
    if coverage is not None and coverage < want.inside:
        return f"{coverage:.0%} inside the mask, less than {want.inside:.0%}"
    if face.distance is not None and (face.distance <= want.distance) == want.others:
        if want.others:
            return f"the person who is left out: {face.distance:.2f} from them, not more than {want.distance:g}"
        return f"somebody else: {face.distance:.2f} from the person asked for, more than {want.distance:g}"
    if want.sharpness and sharpness is not None and sharpness >= want.sharpness:
        return f"good already: sharpness {sharpness:.2f}, not below {want.sharpness:g}"
    return None


def number_reason(number: int, want: Selection) -> str | None:
    """Why a face of this number, among all faces of the image, is not among those asked for."""
    if not want.numbers or number in want.numbers:
        return None
    asked = "none" if want.numbers == (0,) else ", ".join(map(str, want.numbers))
    return f"number {number} {ORDERS[want.order].counted}, asked for {asked}"


def _by_number(group: list[Measured], want: Selection) -> list[str | None]:
    return [number_reason(number, want) for number in range(1, len(group) + 1)]


def _by_duplicate(group: list[Measured], want: Selection) -> list[str | None]:
    reasons: list[str | None] = [None] * len(group)
    for row, index in enumerate([] if want.duplicates else suppress([measured.face for measured in group])):
        if index is not None:
            better = group[index].face
            x, y = better.centre
            reasons[row] = f"on the same face as the better box at ({x:.0f}, {y:.0f}) of confidence {better.score:.2f}"
    return reasons


def _by_limits(group: list[Measured], want: Selection) -> list[str | None]:
    return [limit_reason(measured, want) for measured in group]


def place_reason(place: int, want: Selection, last: int) -> str | None:
    """Why a face is left out that has this place, of `last`, among those that keep the limits."""
    order, last = ORDERS[want.order], want.first + want.count - 1 if want.count else last
    if want.first <= place <= last:
        return None
    if (want.first, want.count) == (1, 1):
        return f"not {order.best}"
    asked = f"{want.first} to {last}" if last > want.first else f"{want.first}"
    return f"number {place} {order.counted}, asked for {asked}"


def _by_place(group: list[Measured], want: Selection) -> list[str | None]:
    return [place_reason(place, want, len(group)) for place in range(1, len(group) + 1)]


#: Filters of the ordered faces of an image, one after the other: a reason to skip, or None, for each face.
_FILTERS = (_by_number, _by_duplicate, _by_limits, _by_place)


def select(
    faces: Sequence[Face],
    image_size: Size,
    selection: Selection = Selection(),
    *,
    mask: Tensor | None = None,
    sharpness: Sequence[float] | None = None,
) -> tuple[list[Face], list[Skipped]]:
    """The faces to work on, image after image in the chosen order, and the skipped ones; see `select_rows`."""
    kept, reasons = select_rows(faces, image_size, selection, mask=mask, sharpness=sharpness)
    return [faces[row] for row in kept], [Skipped(faces[row], why) for row, why in reasons.items()]


def number_faces(faces: Sequence[Face], image_size: Size, order: str) -> list[int]:
    """The number of each face in its image, from 1, in a row of `ORDERS`: what `Selection.numbers` counts."""
    numbers, counted = [0] * len(faces), dict[int, int]()
    for row in sorted(range(len(faces)), key=lambda row: ORDERS[order].key(faces[row], image_size)):
        index = faces[row].image_index
        counted[index] = numbers[row] = counted.get(index, 0) + 1
    return numbers


def select_rows(
    faces: Sequence[Face],
    image_size: Size,
    selection: Selection = Selection(),
    *,
    mask: Tensor | None = None,
    sharpness: Sequence[float] | None = None,
    numbers: Mapping[int, tuple[int, ...]] | None = None,
) -> tuple[list[int], dict[int, str]]:
    """Indices of the faces to work on, and of the skipped ones with the reason; indices, since two faces may be equal.

    Args:
        faces: faces of any number of images of one size.
        image_size: (H, W) of those images.
        mask: (1 or B, 1, h, w) in [0, 1], stretched over the images: faces outside are skipped.
        sharpness: of each face, from `sharpness.measure_sharpness`; needed when the selection limits it.
        numbers: index of an image -> its own numbers instead of `Selection.numbers`; (0,) keeps none of its faces.

    Returns:
        The kept faces, image after image in the chosen order, and the others with the reason.

    Raises:
        ValueError: an unknown order, numbers below 1, a missing sharpness or a mask of the wrong shape.
    """
    selection = resolve(selection)
    _check(faces, selection, mask, sharpness)
    images: dict[int, list[Measured]] = {}
    for row, face in enumerate(faces):
        sharp = None if sharpness is None else sharpness[row]
        coverage = None if mask is None else measure_coverage(mask, face, image_size)
        images.setdefault(face.image_index, []).append(Measured(row, face, image_size, sharp, coverage))
    kept: list[int] = []
    reasons: dict[int, str] = {}
    key = ORDERS[selection.order].key
    for index, group in images.items():
        wanted = replace(selection, numbers=(numbers or {}).get(index, selection.numbers))
        group.sort(key=lambda measured: key(measured.face, image_size))
        for find_reasons in _FILTERS:
            judged = list(zip(group, find_reasons(group, wanted), strict=True))
            reasons |= {measured.row: why for measured, why in judged if why}
            group = [measured for measured, why in judged if not why]
        kept += [measured.row for measured in group]
    return kept, reasons


def measure_coverage(mask: Tensor, face: Face, image_size: Size) -> float:
    """The share of the face's box, clipped to the image, that a mask (1 or B, 1, h, w) covers."""
    plane = mask[face.image_index if mask.shape[0] > 1 else 0, 0]
    scale_x, scale_y = plane.shape[1] / image_size[1], plane.shape[0] / image_size[0]
    x0, x1 = (min(max(round(x * scale_x), 0), plane.shape[1]) for x in (face.box[0], face.box[2]))
    y0, y1 = (min(max(round(y * scale_y), 0), plane.shape[0]) for y in (face.box[1], face.box[3]))
    x0, y0 = min(x0, plane.shape[1] - 1), min(y0, plane.shape[0] - 1)
    return float(plane[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].float().mean())


def resolve(selection: Selection) -> Selection:
    """The same selection with its choice said as order and count.

    Raises:
        ValueError: a number below 1.
    """
    if selection.choice != "all":
        selection = replace(selection, order={"largest": "size", "center": "center"}[selection.choice], count=1)
    lowest = min(selection.numbers, default=1)
    if lowest < 1:
        raise ValueError(f"Found face number {lowest}. Faces are counted from 1: use 1 for the first one.")
    return selection


def _check(faces: Sequence[Face], want: Selection, mask: Tensor | None, sharpness: Sequence[float] | None) -> None:
    if want.sharpness and sharpness is None:
        raise ValueError(f"Only faces below a sharpness of {want.sharpness:g} are asked for and none was measured: measure it.")
    last = max((face.image_index for face in faces), default=0)
    if mask is not None and (mask.ndim != 4 or mask.shape[1] != 1 or 1 < mask.shape[0] <= last or 0 in mask.shape):
        raise ValueError(
            f"Found a mask of shape {tuple(mask.shape)} for {last + 1} images. Expected (images, 1, height, width): "
            "connect one mask, or one for each image."
        )
