"""What a face is between detection and paste: the two values that flow through the pack, and how faces are chosen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

Point = tuple[float, float]
Box = tuple[float, float, float, float]


class Face(NamedTuple):
    """One detected face in plain numbers: sorted, filtered, logged, saved as JSON.

    Attributes:
        image_index: which image of the batch.
        box: x0, y0, x1, y1 in image pixels.
        landmarks: left eye, right eye, nose, left and right mouth corner (viewer's left), image pixels.
        score: the detector's confidence, 0 to 1.
    """

    image_index: int
    box: Box
    landmarks: tuple[Point, ...]
    score: float

    @property
    def area(self) -> float:
        """Box area in square pixels."""
        return max(0.0, self.box[2] - self.box[0]) * max(0.0, self.box[3] - self.box[1])

    @property
    def centre(self) -> Point:
        """Box centre in image pixels."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def eye_distance(self) -> float:
        """Distance between the two eyes in image pixels."""
        (x0, y0), (x1, y1) = self.landmarks[:2]
        return ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5


class Skipped(NamedTuple):
    """A detected face that is left as it was, and why, in words for the user."""

    face: Face
    reason: str


class DetectionOptions(NamedTuple):
    """What every detector takes; the defaults are the reference's (`face_restoration_helper.py`, `retinaface.py`).

    Attributes:
        side: the short side, in pixels, that an image is resized to before detection, up or down. The largest anchor is 512
            pixels, so a close-up is only found when the picture is made smaller.
        confidence: detections below this score (0 to 1) are dropped.
        overlap: of two boxes whose intersection over union exceeds this (0 to 1), only the better is kept.
        eye_distance: faces whose eyes are closer than this many image pixels are skipped: too small or seen from the side.
    """

    side: int = 640
    confidence: float = 0.8
    overlap: float = 0.4
    eye_distance: float = 5.0


@dataclass(frozen=True)
class AlignedFaces:
    """The faces of a batch of images, cut out in the FFHQ pose; what detection makes, restoration changes and paste consumes.

    Attributes:
        faces: N faces, in crop order.
        originals: (N, 3, S, S) RGB in [0, 1] as cut from the images.
        crops: (N, 3, S', S') RGB in [0, 1], what will be pasted; S' may be a multiple of S.
        affines: (N, 2, 3) float64 on the CPU, image pixels -> pixels of `originals`.
        masks: (N, 1, S, S) in [0, 1]; 1 takes the crop, 0 keeps the image.
        grey: N flags, whether the image of each face is greyscale.
        image_size: (H, W) of the images that the faces were found in.
        within: (B, 1, H, W) in [0, 1], where in the images faces may be pasted at all; None is everywhere.
    """

    faces: tuple[Face, ...]
    originals: Tensor
    crops: Tensor
    affines: Tensor
    masks: Tensor
    grey: tuple[bool, ...]
    image_size: tuple[int, int]
    within: Tensor | None = None

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def side(self) -> int:
        """S: the side of `originals`, which `affines` lead to."""
        return self.originals.shape[-1]

    def with_crops(self, crops: Tensor) -> "AlignedFaces":
        """The same faces with other crops (N, 3, S', S')."""
        return replace(self, crops=crops)

    def with_masks(self, masks: Tensor) -> "AlignedFaces":
        """The same faces with other masks (N, 1, S, S)."""
        return replace(self, masks=masks)

    def only_within(self, area: Tensor) -> "AlignedFaces":
        """The same faces, to be pasted only inside `area` (B, 1, H, W) as well as inside what limited them before."""
        return replace(self, within=area if self.within is None else self.within * area)

    def subset(self, indices: Sequence[int]) -> "AlignedFaces":
        """These faces alone, in this order."""
        rows = list(indices)
        return replace(
            self,
            faces=tuple(self.faces[row] for row in rows),
            originals=self.originals[rows],
            crops=self.crops[rows],
            affines=self.affines[rows],
            masks=self.masks[rows],
            grey=tuple(self.grey[row] for row in rows),
        )


def _every(faces: Sequence[Face], size: tuple[int, int]) -> list[Face]:
    return list(faces)


def _largest(faces: Sequence[Face], size: tuple[int, int]) -> list[Face]:
    height, width = size

    def visible_area(face: Face) -> float:
        x0, y0, x1, y1 = face.box
        return max(0.0, min(x1, width) - max(x0, 0.0)) * max(0.0, min(y1, height) - max(y0, 0.0))

    return [max(faces, key=visible_area)]


def _most_central(faces: Sequence[Face], size: tuple[int, int]) -> list[Face]:
    height, width = size
    return [min(faces, key=lambda f: (f.centre[0] - width / 2) ** 2 + (f.centre[1] - height / 2) ** 2)]


#: Which faces of one image are kept: (its faces, (H, W)) -> those faces. Never called without a face.
CHOICES: dict[str, Callable[[Sequence[Face], tuple[int, int]], list[Face]]] = {
    "all": _every,
    "largest": _largest,
    "center": _most_central,
}

_WHY_NOT = {"largest": "not the largest face of the picture", "center": "not the face nearest to the centre"}


def choose(
    faces: Sequence[Face], image_size: tuple[int, int], choice: str = "all", eye_distance: float = 0.0
) -> tuple[list[Face], list[Skipped]]:
    """Which faces are worked on, and which are not and why.

    Args:
        faces: faces of any number of images of one size.
        image_size: (H, W) of those images.
        choice: a row of `CHOICES`, applied to each image by itself.
        eye_distance: faces whose eyes are closer than this many pixels are skipped.

    Returns:
        The kept faces in their order, and the skipped ones. An image whose every face is skipped for its eyes keeps none.
    """
    if choice not in CHOICES:
        raise ValueError(f"{choice!r} is no choice of faces. Use one of: {', '.join(CHOICES)}.")
    kept: list[Face] = []
    skipped: list[Skipped] = []
    wide: dict[int, list[Face]] = {}
    for face in faces:
        if face.eye_distance < eye_distance:
            reason = f"eyes {face.eye_distance:.1f} px apart, fewer than {eye_distance:g}: too small or seen from the side"
            skipped.append(Skipped(face, reason))
        else:
            wide.setdefault(face.image_index, []).append(face)
    for group in wide.values():
        chosen = CHOICES[choice](group, image_size)
        kept += chosen
        skipped += [Skipped(face, _WHY_NOT[choice]) for face in group if face not in chosen]
    return kept, skipped
