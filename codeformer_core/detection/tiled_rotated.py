"""Detectors made of a detector: one that also finds faces that lie or hang, and one that also finds tiny faces."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..faces import DetectionOptions, Detector, Face, Point
from .suppression import remove_duplicates

#: A face found in a turned picture leans less than this in it, in degrees. What leans more is found better in the next turn;
#: half a turn of 90 degrees and the landmarks' error are allowed for.
LEAN = 60.0


class RotatedDetector(NamedTuple):
    """Finds faces in the picture turned by 0, 90, 180 and 270 degrees; four times the work."""

    detector: Detector

    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image."""
        height, width = images.shape[-2:]
        found = list(self.detector.detect(images, options))
        merits = [_merit(face) for face in found]
        for turns, back in _BACK.items():
            turned = self.detector.detect(torch.rot90(images, turns, (2, 3)), options)
            upright = [face for face in turned if abs(roll_angle(face)) < LEAN]
            found += [_moved(face, back, height, width) for face in upright]
            merits += [_merit(face) for face in upright]
        return _best_first(remove_duplicates(found, merits))


def roll_angle(face: Face) -> float:
    """Degrees from upright, clockwise, -180 to 180: the direction from the left eye to the right one."""
    (x0, y0), (x1, y1) = face.landmarks[:2]
    return math.degrees(math.atan2(y1 - y0, x1 - x0))


def _merit(face: Face) -> float:
    """How well a face was seen in the turn that it was found in: the odds of its score, less for leaning.

    A detector of upright faces is often as sure of a face on its side, with misplaced landmarks: by the scores alone, 5 of 40
    upright portraits of the test data come out turned (RetinaFace MobileNet0.25 at 640); with the lean none of them does, nor
    any of 192 other faces at 320, with a weight from 1 to 4.
    """
    certain = min(max(face.score, 1e-6), 1 - 1e-6)
    return math.log(certain / (1 - certain)) - 2 * (roll_angle(face) / 45) ** 2


_Back = Callable[[float, float, int, int], Point]

#: Quarter turns counterclockwise (torch.rot90) -> where a pixel (x, y) of the turned picture was in the picture of (H, W).
_BACK: dict[int, _Back] = {
    1: lambda x, y, height, width: (width - 1 - y, x),
    2: lambda x, y, height, width: (width - 1 - x, height - 1 - y),
    3: lambda x, y, height, width: (y, height - 1 - x),
}


def _moved(face: Face, back: _Back, height: int, width: int) -> Face:
    x0, y0 = back(*face.box[:2], height, width)
    x1, y1 = back(*face.box[2:], height, width)
    landmarks = tuple(back(x, y, height, width) for x, y in face.landmarks)
    return face._replace(box=(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), landmarks=landmarks)


class TiledDetector(NamedTuple):
    """Finds faces in the whole picture, and in overlapping square tiles of it those that are tiny in the whole.

    Every tile is searched at `options.side`, so that tiles of half that side show faces twice as large.

    Attributes:
        tile: side of a tile in pixels of the picture. Pictures that are no larger are searched once.
        overlap: the share of a tile (0 to below 1) that it has in common with the next: faces up to that size are whole in one.
    """

    detector: Detector
    tile: int = 640
    overlap: float = 0.25

    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image."""
        height, width = images.shape[-2:]
        found = list(self.detector.detect(images, options))
        if max(height, width) <= self.tile:
            return found
        rows, columns = (tile_starts(side, self.tile, self.overlap) for side in (height, width))
        for index in range(images.shape[0]):
            for y in rows:  # one row of tiles at a time bounds the memory
                strip = images[index, :, y : y + self.tile]
                tiles = torch.stack([strip[:, :, x : x + self.tile] for x in columns])
                for face in self.detector.detect(tiles, options):
                    x = columns[face.image_index]
                    if _whole(face, x, y, (tiles.shape[2], tiles.shape[3]), (height, width)):
                        found.append(_shifted(face, index, x, y))
        return _best_first(remove_duplicates(found))


def tile_starts(side: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along a side of a picture: evenly, the last one ends with the picture."""
    if side <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = 1 + math.ceil((side - tile) / step)
    return [round(index * (side - tile) / (count - 1)) for index in range(count)]


def _whole(face: Face, x: int, y: int, tile: tuple[int, int], picture: tuple[int, int]) -> bool:
    """Whether a face found in the tile (height, width) at (x, y) is not cut by a border that the picture does not have."""
    x0, y0, x1, y1 = face.box
    left, top = x == 0 or x0 > 0, y == 0 or y0 > 0
    return left and top and (x + tile[1] == picture[1] or x1 < tile[1]) and (y + tile[0] == picture[0] or y1 < tile[0])


def _shifted(face: Face, image_index: int, x: int, y: int) -> Face:
    x0, y0, x1, y1 = face.box
    landmarks = tuple((px + x, py + y) for px, py in face.landmarks)
    return Face(image_index, (x0 + x, y0 + y, x1 + x, y1 + y), landmarks, face.score)


def _best_first(faces: Sequence[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: (face.image_index, -face.score))


def wrap_detector(detector: Detector, options: DetectionOptions) -> Detector:
    """The detector, looking over tiles and rotations as the options ask for."""
    searched = TiledDetector(detector, options.tile) if options.tile else detector
    return RotatedDetector(searched) if options.rotated else searched
