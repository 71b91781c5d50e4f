"""Landmarks for boxes that have none: a second detection inside each box, or else the pose that most faces have."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .align import FILL
from .faces import Box, DetectionOptions, Detector, Face, Point
from .sources import Region

#: Where the landmarks lie in a detector's box of width and height 1, and that box's width by height: the means of the 43 faces
#: of the test data's photos_annotated and their mirror images, RetinaFace MobileNet0.25 at 640 (YuNet: the same to 0.013).
MEAN_LANDMARKS: tuple[Point, ...] = ((0.281, 0.389), (0.719, 0.389), (0.5, 0.575), (0.31, 0.727), (0.69, 0.727))
MEAN_ASPECT = 0.76

#: A second detection sees a box enlarged this many times, in a picture of VIEW x VIEW pixels: the face is about 128 pixels
#: then, in the middle of what detectors are trained on.
ENLARGED = 2.0
VIEW = 256
VIEWS_PER_CALL = 32


def locate(
    images: Tensor, regions: Sequence[Region], detector: Detector, options: DetectionOptions = DetectionOptions()
) -> tuple[list[Face], list[str]]:
    """Faces with landmarks for boxes without.

    Each box is searched again, enlarged, at half the usual confidence, since somebody said that there is a face. Where nothing
    is found the box alone gives an upright pose: such a face has score 0 and a note.

    Args:
        images: (B, 3, H, W) RGB in [0, 1].
        regions: boxes in these images.
        options: for the detector; its `side` is not used.

    Returns:
        A face for each region in their order, and a sentence for each pose that is a guess.
    """
    faces: list[Face] = []
    notes: list[str] = []
    doubtful = options._replace(side=VIEW, confidence=options.confidence / 2)
    for start in range(0, len(regions), VIEWS_PER_CALL):
        part = regions[start : start + VIEWS_PER_CALL]
        views = [_view(images, region) for region in part]
        found = detector.detect(torch.cat([view.pixels for view in views]), doubtful)
        for index, (region, view) in enumerate(zip(part, views, strict=True)):
            seen = [view.to_image(face, region.image_index) for face in found if face.image_index == index]
            inside = [face for face in seen if _holds(region.box, face.centre)]
            if inside:
                faces.append(max(inside, key=lambda face: _overlap(face.box, region.box)))
            else:
                faces.append(guess(region))
                x, y = faces[-1].centre
                notes.append(
                    f"No face was seen in the box at ({x:.0f}, {y:.0f}) of picture {region.image_index + 1}: its pose is a "
                    "guess (upright, from the front)."
                )
    return faces, notes


def guess(region: Region) -> Face:
    """An upright face seen from the front in a region, with score 0: nobody saw its landmarks."""
    x0, y0, x1, y1 = region.box
    # A box of a detector's shape with the same middle and area; people and other tools draw wider ones.
    height = math.sqrt((x1 - x0) * (y1 - y0) / MEAN_ASPECT)
    width = height * MEAN_ASPECT
    left, top = (x0 + x1 - width) / 2, (y0 + y1 - height) / 2
    return Face(region.image_index, region.box, tuple((left + x * width, top + y * height) for x, y in MEAN_LANDMARKS), 0.0)


class _View(NamedTuple):
    """The surroundings of a region as the detector sees them.

    Attributes:
        pixels: (1, 3, VIEW, VIEW).
        x, y: where they begin in the image.
        scale_x, scale_y: pixels of the view for one of the image.
    """

    pixels: Tensor
    x: int
    y: int
    scale_x: float
    scale_y: float

    def to_image(self, face: Face, image_index: int) -> Face:
        """A face found in the view, in its image."""

        def back(x: float, y: float) -> Point:
            return self.x + x / self.scale_x, self.y + y / self.scale_y

        box = (*back(*face.box[:2]), *back(*face.box[2:]))
        return Face(image_index, box, tuple(back(x, y) for x, y in face.landmarks), face.score)


def _view(images: Tensor, region: Region) -> _View:
    height, width = images.shape[-2:]
    x0, y0, x1, y1 = region.box
    reach = max(x1 - x0, y1 - y0) * ENLARGED / 2
    left, right = max(0, math.floor((x0 + x1) / 2 - reach)), min(width, math.ceil((x0 + x1) / 2 + reach))
    top, bottom = max(0, math.floor((y0 + y1) / 2 - reach)), min(height, math.ceil((y0 + y1) / 2 + reach))
    part = images[region.image_index : region.image_index + 1, :, top:bottom, left:right]
    scale = VIEW / max(right - left, bottom - top)
    size = (max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale)))
    shown = F.interpolate(part, size=size, mode="bilinear", antialias=scale < 1)
    pixels = images.new_tensor(FILL).reshape(1, 3, 1, 1).repeat(1, 1, VIEW, VIEW)
    pixels[:, :, : size[0], : size[1]] = shown
    return _View(pixels, left, top, size[1] / (right - left), size[0] / (bottom - top))


def _holds(box: Box, point: Point) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (areas - shared)
