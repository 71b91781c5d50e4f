"""Faces as JSON text that people may edit: write, read and validate."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..faces import Face, Size

FORMAT, VERSION = "codeformer-faces", 1

#: Points of a face: left eye, right eye, nose, left and right mouth corner.
POINTS = 5


def to_json(faces: Sequence[Face], image_size: Size) -> str:
    """Faces detected in images of `image_size` (H, W) as JSON, one line for each face."""
    head = {"format": FORMAT, "version": VERSION, "image_size": list(image_size)}
    rows = [{"image": face.image_index, "box": face.box, "landmarks": face.landmarks, "score": face.score} for face in faces]
    lines = ",\n".join(f"  {json.dumps(row, allow_nan=False)}" for row in rows)
    return f'{json.dumps(head)[:-1]}, "faces": [\n{lines}\n]}}\n'


def from_json(text: str | bytes) -> tuple[list[Face], Size]:
    """The faces of a text of `to_json`, and (H, W) of the images that they were detected in.

    Args:
        text: bytes are UTF-8, UTF-16 or UTF-32, with or without a byte order mark, as editors and PowerShell save them.

    Raises:
        ValueError: another format or version, or the first face that is not valid.
    """
    try:
        record = json.loads(text if isinstance(text, bytes) else text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:  # too many digits and a wrong encoding are no JSONDecodeError
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ValueError(f"Found no faces: the text is not JSON ({where}). Save the faces again.") from error
    kind = record.get("format") if isinstance(record, dict) else None
    if kind != FORMAT:
        raise ValueError(f"Found JSON of format {kind!r:.80}. Expected {FORMAT!r}: choose a file of saved faces.")
    if record.get("version") != VERSION:
        raise ValueError(
            f"Found saved faces of version {record.get('version')!r:.80}. Expected version {VERSION}: save them again, or "
            "update the program."
        )
    size = record.get("image_size")
    if not isinstance(size, list) or not _numbers(size, 2) or not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f"Found the image size {size!r:.80} in saved faces. Expected [height, width] in whole pixels.")
    rows = record.get("faces")
    if not isinstance(rows, list):
        raise ValueError(f"Found {rows!r:.80} as saved faces. Expected a list.")
    return [_face(number, row) for number, row in enumerate(rows, 1)], (size[0], size[1])


def _numbers(value: Any, count: int) -> bool:
    """Whether a value is a list of `count` finite numbers."""
    if not isinstance(value, list) or len(value) != count:
        return False
    plain = all(isinstance(entry, (int, float)) and not isinstance(entry, bool) for entry in value)
    return plain and all(abs(entry) < 1e9 for entry in value)  # finite, and no integer that a float cannot hold


#: The fields of a saved face: validator, and description of a valid value.
_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "image": (lambda value: _numbers([value], 1) and value >= 0 and value == int(value), "the number of its image, from 0"),
    "box": (
        lambda value: _numbers(value, 4) and value[0] < value[2] and value[1] < value[3],
        "[x0, y0, x1, y1] in pixels",
    ),
    "landmarks": (
        lambda value: (
            isinstance(value, list)
            and len(value) == POINTS
            and all(_numbers(point, 2) for point in value)
            and max(max(axis) - min(axis) for axis in zip(*value, strict=True)) >= 1
        ),
        f"{POINTS} different points [x, y]: left eye, right eye, nose, left and right mouth corner",
    ),
    "score": (lambda value: _numbers([value], 1) and 0 <= value <= 1, "a number from 0 to 1"),
}


def _face(number: int, row: Any) -> Face:
    entry = row if isinstance(row, dict) else {}
    for name, (good, expected) in _PARTS.items():
        if not good(entry.get(name)):
            found = f"{entry[name]!r:.80}" if name in entry else "nothing"
            raise ValueError(f"Found {found} as the {name} of saved face {number}. Expected {expected}.")
    x0, y0, x1, y1 = map(float, entry["box"])
    points = tuple((float(x), float(y)) for x, y in entry["landmarks"])
    return Face(int(entry["image"]), (x0, y0, x1, y1), points, float(entry["score"]))
