"""What a face is between detection and paste, and what finds faces."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .options import DetectionOptions

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

    def scaled(self, x: float, y: float) -> "Face":
        """The same face in the picture resized to `x` times its width and `y` times its height, as `align.resize_affine`."""
        x0, y0, x1, y1 = self.box

        def at(u: float, v: float) -> Point:
            return (u + 0.5) * x - 0.5, (v + 0.5) * y - 0.5

        return self._replace(box=(*at(x0, y0), *at(x1, y1)), landmarks=tuple(at(u, v) for u, v in self.landmarks))


class Skipped(NamedTuple):
    """A detected face that is left as it was, and why, in words for the user."""

    face: Face
    reason: str


class Detector(Protocol):
    """What finds faces."""

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image."""
        ...


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

    @staticmethod
    def joined(parts: "Sequence[AlignedFaces]") -> "AlignedFaces":
        """The faces of several images that were aligned one by one, as those of a batch: the nth part's are in image n.

        Args:
            parts: at least one, with crops of one side, found in images of one size that nothing limits (`within` is None).
        """
        filled = [part for part in parts if len(part)] or parts[:1]  # what nobody is in may have crops of another side
        return AlignedFaces(
            faces=tuple(face._replace(image_index=index) for index, part in enumerate(parts) for face in part.faces),
            originals=torch.cat([part.originals for part in filled]),
            crops=torch.cat([part.crops for part in filled]),
            affines=torch.cat([part.affines for part in filled]),
            masks=torch.cat([part.masks for part in filled]),
            grey=tuple(flag for part in filled for flag in part.grey),
            image_size=parts[0].image_size,
        )

    def of_image(self, index: int) -> "AlignedFaces":
        """The faces of one image of the batch, as those of a batch of one."""
        own = self.subset([row for row, face in enumerate(self.faces) if face.image_index == index])
        return replace(own, faces=tuple(face._replace(image_index=0) for face in own.faces))

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
