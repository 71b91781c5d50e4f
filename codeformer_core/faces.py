"""The values that go from step to step: detected faces, aligned faces, and the detector protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .options import DetectionOptions

Point = tuple[float, float]

Box = tuple[float, float, float, float]


class Face(NamedTuple):
    """One detected face in plain numbers, so that it can be sorted, filtered, logged and saved as JSON.

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
    def pixels(self) -> float:
        """The longer side of the box in image pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

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
        """The same face in the image resized to `x` times its width and `y` times its height, as `affine.resize_affine`."""
        x0, y0, x1, y1 = self.box

        def resized(u: float, v: float) -> Point:  # by pixel centres
            return (u + 0.5) * x - 0.5, (v + 0.5) * y - 0.5

        return self._replace(
            box=(*resized(x0, y0), *resized(x1, y1)), landmarks=tuple(resized(*point) for point in self.landmarks)
        )


class Skipped(NamedTuple):
    """A detected face that is left as it was, and why, in words for the user."""

    face: Face
    reason: str


class Detector(Protocol):
    """A face detector, see `detection` and `networks`."""

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image."""
        ...


@dataclass(frozen=True)
class AlignedFaces:
    """The faces of a batch of images, cut out in the FFHQ pose: made by `align`, changed by `restore`, consumed by `paste`.

    Attributes:
        faces: N faces, in crop order.
        originals: (N, 3, S, S) RGB in [0, 1] as cut from the images.
        crops: (N, 3, S', S') RGB in [0, 1], what will be pasted; S' may be a multiple of S.
        affines: (N, 2, 3) float64 on the CPU, image pixels -> pixels of `originals`.
        masks: (N, 1, S, S) in [0, 1]; 1 takes the crop, 0 keeps the image.
        grey: N flags, whether the image of each face is greyscale.
        image_size: (H, W) of the images that the faces were found in.
        within: (1 or B, 1, H, W) in [0, 1], the area of the images where faces may be pasted; one area serves every image,
            None is everywhere.
        sampling: "exact" or "reference", see `FixOptions.sampling`; faces are pasted the way they were aligned.
    """

    faces: tuple[Face, ...]
    originals: Tensor
    crops: Tensor
    affines: Tensor
    masks: Tensor
    grey: tuple[bool, ...]
    image_size: tuple[int, int]
    within: Tensor | None = None
    sampling: str = "exact"

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def side(self) -> int:
        """S: the side of `originals`, the target of `affines`."""
        return self.originals.shape[-1]

    def with_crops(self, crops: Tensor) -> "AlignedFaces":
        """The same faces with other crops (N, 3, S', S')."""
        return replace(self, crops=crops)

    def with_masks(self, masks: Tensor) -> "AlignedFaces":
        """The same faces with other masks (N, 1, S, S)."""
        return replace(self, masks=masks)

    def only_within(self, area: Tensor) -> "AlignedFaces":
        """The same faces, pasted only inside `area` (1 or B, 1, H, W) and inside the areas that limited them before."""
        return replace(self, within=area if self.within is None else self.within * area)

    @staticmethod
    def joined(parts: "Sequence[AlignedFaces]") -> "AlignedFaces":
        """Batches of one image each, put together: the faces of the nth part are in image n, which keeps its own area.

        Args:
            parts: at least one, with crops of one side, found in images of one size, with at most one area in `within`.
        """
        filled = [part for part in parts if len(part)] or parts[:1]  # a part without faces may have crops of another side
        within = None
        areas = [part.within for part in parts if part.within is not None]
        if areas:
            everywhere = torch.ones_like(areas[0])
            within = torch.cat([everywhere if part.within is None else part.within for part in parts])
        return AlignedFaces(
            faces=tuple(face._replace(image_index=index) for index, part in enumerate(parts) for face in part.faces),
            originals=torch.cat([part.originals for part in filled]),
            crops=torch.cat([part.crops for part in filled]),
            affines=torch.cat([part.affines for part in filled]),
            masks=torch.cat([part.masks for part in filled]),
            grey=tuple(flag for part in filled for flag in part.grey),
            image_size=parts[0].image_size,
            within=within,
            sampling=parts[0].sampling,
        )

    def of_image(self, index: int) -> "AlignedFaces":
        """The faces of one image of the batch with the area of that image alone, as a batch of one."""
        own = self.subset([row for row, face in enumerate(self.faces) if face.image_index == index])
        within = self.within if self.within is None or len(self.within) == 1 else self.within[index : index + 1]
        return replace(own, faces=tuple(face._replace(image_index=0) for face in own.faces), within=within)

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
