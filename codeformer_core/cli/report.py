"""What became of every image or video of a job, as JSON (docs/report.md) and as the data of the gallery."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..faces import Face, Likeness, Size
from ..selection.select import number_faces

#: The first key of a report, by which a report is told from other JSON files, and its version.
FORMAT = {"format": "codeformer report", "version": 1}


class FaceRecord(NamedTuple):
    """A face of an image: its number, as --faces and --draw-boxes have it, why it was left alone, empty when it was not, and
    its likeness where that was asked for."""

    number: int
    face: Face
    left_alone: str = ""
    likeness: Likeness | None = None


class ImageResult(NamedTuple):
    """What became of an image or video.

    Attributes:
        path: its result.
        lines: sentences for the user, the first with what was done.
        found, changed: numbers of faces; of a video, of people.
        size: (W, H) of the source, in which the faces are; None of a video.
        faces: every face that was found in an image.
        thumbnails: JPEG files of it before and after, for a gallery.
        before: whether the result was there before; then nothing else is known.
    """

    path: Path
    lines: Sequence[str] = ()
    found: int = 0
    changed: int = 0
    size: tuple[int, int] | None = None
    faces: Sequence[FaceRecord] = ()
    thumbnails: tuple[bytes, bytes] | None = None
    before: bool = False


class Outcome(NamedTuple):
    """One line of the report.

    Attributes:
        status: "done", "done before", "failed", "stopped" (by Ctrl-C or another signal) or "not begun".
        result: where it is done.
        error: why it failed.
    """

    source: Path
    status: str
    seconds: float = 0.0
    result: ImageResult | None = None
    error: str = ""


def number_all(faces: Sequence[Face], found: Sequence[Face], image_size: Size, order: str) -> list[int]:
    """The numbers of some faces in an order of all that were found in their image of (H, W)."""
    left = list(zip(found, number_faces(found, image_size, order), strict=True))
    numbers = []
    for face in faces:  # two faces may be equal: each has its number once
        row = next(row for row, (found, _) in enumerate(left) if found == face)
        numbers.append(left.pop(row)[1])
    return numbers


def describe(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON has it."""
    result = outcome.result or ImageResult(Path())
    faces = [
        {
            "number": number,
            "box": [round(value, 1) for value in face.box],
            "size": round(face.pixels, 1),
            "score": round(face.score, 4),
            "distance": None if face.distance is None else round(face.distance, 3),
            "left_alone": left_alone or None,
            "likeness": None if likeness is None else round(likeness.distance, 3),
            "fidelity": None if likeness is None or likeness.fidelity is None else round(likeness.fidelity, 3),
        }
        for number, face, left_alone, likeness in sorted(result.faces)
    ]
    return {
        "source": str(outcome.source.resolve()),
        "result": str(result.path.resolve()) if outcome.result else None,
        "status": outcome.status,
        "error": outcome.error or None,
        "seconds": round(outcome.seconds, 2),
        "size": result.size,
        "faces_found": result.found,
        "faces_changed": result.changed,
        "faces": faces,
    }


def to_json(command: str, outcomes: Iterable[Outcome], earlier: Mapping[str, dict[str, Any]]) -> str:
    """The report of a job; what an earlier run did is told as that run's report had it."""
    described = [describe(outcome) for outcome in outcomes]
    known = [
        {**earlier[one["result"]], "status": one["status"]}
        if one["status"] == "done before" and earlier.get(one["result"], {}).get("source") == one["source"]
        else one
        for one in described
    ]
    return json.dumps({**FORMAT, "command": command, "items": known}, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> dict[str, dict[str, Any]]:
    """What a report tells of results, by their paths.

    Raises:
        ValueError: it is no report.
    """
    try:
        found = json.loads(text)
        if {key: found[key] for key in FORMAT} != FORMAT:
            raise ValueError
        return {item["result"]: item for item in found["items"] if item["result"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError("it is not a report of this program") from error
