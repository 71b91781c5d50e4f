"""Detectors that wrap another: test-time rotation for rotated faces, tiling for tiny faces."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..faces import Detector, Face, Point
from ..options import DetectionOptions
from .suppression import remove_duplicates

#: The largest roll, in degrees, of a face that is accepted in a rotated image; beyond it the next rotation detects it better.
#: It allows for half of the 90 degrees between rotations and for errors of the landmarks.
MAX_ROLL = 60.0


class RotatedDetector(NamedTuple):
    """Detects faces in the image rotated by 0, 90, 180 and 270 degrees; four times the work."""

    detector: Detector

    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image."""
        height, width = images.shape[-2:]
        found = list(self.detector.detect(images, options))
        merits = [_merit(face) for face in found]
        for turns, back in _inverses(height, width).items():
            turned = self.detector.detect(torch.rot90(images, turns, (2, 3)), options)
            upright = [face for face in turned if abs(roll_angle(face)) < MAX_ROLL]
            found += [face.mapped(back) for face in upright]
            merits += [_merit(face) for face in upright]
        return _best_first(remove_duplicates(found, merits))


def roll_angle(face: Face) -> float:
    """Roll in degrees, clockwise, -180 to 180: the direction from the left eye to the right one."""
    (x0, y0), (x1, y1) = face.landmarks[:2]
    return math.degrees(math.atan2(y1 - y0, x1 - x0))


def _merit(face: Face) -> float:
    """The rank of a face in the rotation that it was detected in: the log odds of its score, less a penalty for roll.

    A detector of upright faces is often as sure of a face on its side, with misplaced landmarks: by the scores alone, 5 of 40
    upright portraits of the test data come out rotated (RetinaFace MobileNet0.25 at 640); with the penalty none of them does,
    nor any of 192 other faces at 320, with a weight from 1 to 4.
    """
    certain = min(max(face.score, 1e-6), 1 - 1e-6)
    return math.log(certain / (1 - certain)) - 2 * (roll_angle(face) / 45) ** 2


def _inverses(height: int, width: int) -> dict[int, Callable[[float, float], Point]]:
    """Quarter turns counterclockwise (torch.rot90) -> (x, y) of the rotated image to (x, y) of the image."""
    return {
        1: lambda x, y: (width - 1 - y, x),
        2: lambda x, y: (width - 1 - x, height - 1 - y),
        3: lambda x, y: (y, height - 1 - x),
    }


class TiledDetector(NamedTuple):
    """Detects faces in the whole image, and in overlapping square tiles those that are tiny in the whole.

    Every tile is searched at `options.side`, so that tiles of half that side show faces twice as large.

    Attributes:
        tile: side of a tile in image pixels. Images that are no larger are searched once.
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
                    if _is_uncut(face, x, y, (tiles.shape[2], tiles.shape[3]), (height, width)):
                        found.append(_moved(face, index, x, y))
        return _best_first(remove_duplicates(found))


def tile_starts(side: int, tile: int, overlap: float) -> list[int]:
    """Start of each tile along a side of an image: evenly spaced, the last one ends at the border."""
    if side <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = 1 + math.ceil((side - tile) / step)
    return [round(index * (side - tile) / (count - 1)) for index in range(count)]


def _is_uncut(face: Face, x: int, y: int, tile: tuple[int, int], image: tuple[int, int]) -> bool:
    """Whether a face found in the tile (height, width) at (x, y) is not cut by a border of the tile inside the image."""
    x0, y0, x1, y1 = face.box
    left, top = x == 0 or x0 > 0, y == 0 or y0 > 0
    return left and top and (x + tile[1] == image[1] or x1 < tile[1]) and (y + tile[0] == image[0] or y1 < tile[0])


def _moved(face: Face, image_index: int, x: int, y: int) -> Face:
    return face.mapped(lambda u, v: (u + x, v + y))._replace(image_index=image_index)


def _best_first(faces: Sequence[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: (face.image_index, -face.score))


def wrap_detector(detector: Detector, options: DetectionOptions) -> Detector:
    """The detector, wrapped for tiles and rotations as the options say."""
    searched = TiledDetector(detector, options.tile) if options.tile else detector
    return RotatedDetector(searched) if options.rotated else searched
