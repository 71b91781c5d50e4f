"""Data for a face picker: thumbnails of the images, and the position and numbers of every face in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..faces import AlignedFaces, Face, Size
from ..imaging.resize import thumbnail_size
from ..paste import paste
from .select import ORDERS, number_faces

#: The longer side of a thumbnail in pixels: what a node shows on a large screen.
LARGEST = 1024

#: The grey around the faces where only the crops are known.
BLANK = 0.25


@dataclass(frozen=True)
class Candidate:
    """A face to pick or not.

    Attributes:
        image_index: which image of the batch.
        place: x, y, width and height of its box, relative to the image's width and height.
        numbers: by row of `ORDERS`, the number of the face in that order in its image, from 1.
        score: the detector's confidence, 0 to 1.
        pixels: the longer side of its box in image pixels.
        reason: why it is skipped; empty for a face that is kept.
    """

    image_index: int
    place: tuple[float, float, float, float]
    numbers: dict[str, int]
    score: float
    pixels: float
    reason: str


def list_candidates(faces: Sequence[Face], image_size: Size, reasons: Mapping[int, str] | None = None) -> list[Candidate]:
    """Every face with its numbers, which are those of `Selection.numbers`.

    Args:
        faces: faces of any number of images, kept or not; two may be equal.
        image_size: (H, W) of those images.
        reasons: why faces are skipped, by their index, see `select_rows`.
    """
    by_order = {name: number_faces(faces, image_size, name) for name in ORDERS}
    height, width = image_size
    candidates = []
    for row, face in enumerate(faces):
        x0, y0, x1, y1 = face.box
        place = x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height
        reason = (reasons or {}).get(row, "")
        numbers = {name: by_order[name][row] for name in ORDERS}
        candidates.append(Candidate(face.image_index, place, numbers, face.score, face.pixels, reason))
    return candidates


def thumbnails_from_crops(aligned: AlignedFaces, count: int, largest: int = LARGEST) -> Tensor:
    """Thumbnails of the first `count` images from their crops alone, grey around the faces: (count, 3, h, w) in [0, 1]."""
    height, width = thumbnail_size(*aligned.image_size, largest)
    blank = aligned.originals.new_full((count, 3, height, width), BLANK)
    shown = aligned.subset([row for row, face in enumerate(aligned.faces) if face.image_index < count])
    whole = replace(shown, crops=shown.originals, masks=torch.ones_like(shown.masks), within=None)
    return paste(blank, whole, "square")[0]
