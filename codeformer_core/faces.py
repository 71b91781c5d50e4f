"""The values that go from step to step: detected faces, aligned faces, and the detector protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .options import DetectionOptions

Point = tuple[float, float]

#: The side of the published networks' crops. What draws fewer pixels, such as the starter, can take detail away from a face.
FULL_SIDE = 512

Box = tuple[float, float, float, float]

Size = tuple[int, int]


def require_images(images: object) -> None:
    """Raise a ValueError unless these are images (B, 3, H, W) of floats."""
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        kind, shape = getattr(images, "dtype", type(images).__name__), tuple(getattr(images, "shape", ()))
        raise ValueError(f"Found {kind} of shape {shape}. Expected a tensor (B, 3, H, W) of floats in [0, 1]: see `fix`.")


class Face(NamedTuple):
    """One detected face in plain numbers, so that it can be sorted, filtered, logged and saved as JSON.

    Attributes:
        image_index: which image of the batch.
        box: x0, y0, x1, y1 in image pixels.
        landmarks: left eye, right eye, nose, left and right mouth corner (viewer's left), image pixels.
        score: the detector's confidence, 0 to 1.
        distance: from the nearest person that is asked for, see `recognition`; None when nobody is.
    """

    image_index: int
    box: Box
    landmarks: tuple[Point, ...]
    score: float
    distance: float | None = None

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

    def mapped(self, transform: Callable[[float, float], Point]) -> "Face":
        """The same face with its landmarks and the corners of its box transformed: scaled, moved or turned by 90 degrees."""
        (x0, y0), (x1, y1) = transform(*self.box[:2]), transform(*self.box[2:])
        box = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
        return self._replace(box=box, landmarks=tuple(transform(*point) for point in self.landmarks))

    def scaled(self, x: float, y: float) -> "Face":
        """The same face in the image resized to `x` times its width and `y` times its height, as `affine.resize_affine`."""
        return self.mapped(lambda u, v: ((u + 0.5) * x - 0.5, (v + 0.5) * y - 0.5))


def check_images(faces: Sequence[Face], found_in: Size, batch: int, size: Size) -> None:
    """A ValueError unless `batch` images of `size` are those of `found_in`, both (H, W), or the same at another size."""
    last = max((face.image_index for face in faces), default=-1)
    if last >= batch:
        raise ValueError(
            f"Found a face of image {last + 1} and a batch of {batch}: connect the images that the faces were found in."
        )
    scale_y, scale_x = size[0] / found_in[0], size[1] / found_in[1]
    if abs(scale_x - scale_y) > 1.0 / min(found_in) + 1e-6:  # a resize may round each side to a whole pixel
        raise ValueError(
            f"Found images of {size[1]} x {size[0]}, but the faces were found in {found_in[1]} x {found_in[0]}: "
            "connect those images, or the same at another size."
        )


class Likeness(NamedTuple):
    """Whether a restored face is still the person.

    Attributes:
        distance: from the person, see `recognition`.
        fidelity: the mean of the fidelity that was found for this face; None where it was not searched for.
    """

    distance: float
    fidelity: float | None = None


class Skipped(NamedTuple):
    """A detected face that is left as it was, and why, in words for the user."""

    face: Face
    reason: str


class Harmed(Skipped):
    """One that the network would have made softer, see `selection.harm`."""

    __slots__ = ()


class Detector(Protocol):
    """A face detector, see `detection` and `networks`."""

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image."""
        ...


def with_rows(masks: Sequence[Tensor], change: Callable[[Sequence[Tensor]], Tensor]) -> Tensor:
    """`change` applied to masks (N, 1, S, S). Masks that are alike all over, as those of `align`, go on taking no memory."""
    if any(mask.stride()[-2:] != (0, 0) for mask in masks):
        return change(masks)
    return change([mask[..., :1, :1] for mask in masks]).expand(-1, -1, *masks[0].shape[-2:])


@dataclass(frozen=True)
class AlignedFaces:
    """The faces of a batch of images, cut out in the FFHQ pose: made by `align`, changed by `restore`, consumed by `paste`.

    Attributes:
        faces: N faces, in crop order.
        originals: (N, 3, S, S) RGB in [0, 1] as cut from the images.
        crops: (N, 3, S', S') RGB in [0, 1], what will be pasted; S' may be a multiple of S.
        affines: (N, 2, 3) float64 on the CPU, image pixels -> pixels of `originals`.
        masks: (N, 1, S, S) in [0, 1]; 1 takes the crop, 0 keeps the image. May be expanded: not to be written into.
        grey: N, by which tests the image of each face is black and white, see `imaging.grey.Grey`; 0 by none.
        image_size: (H, W) of the images that the faces were found in.
        within: (1 or B, 1, H, W) in [0, 1], the area of the images where faces may be pasted; one area serves every image,
            None is everywhere.
        sampling: "exact" or "reference", see `FixOptions.sampling`; faces are pasted the way they were aligned.
        edited: whether something else than a restorer changed the crops: colorized, inpainted, edited by hand.
        likeness: N, of the restored faces; empty where it was not asked for.
        unchecked: the network that drew the crops, where `paste` is to see whether they are finite.
    """

    faces: tuple[Face, ...]
    originals: Tensor
    crops: Tensor
    affines: Tensor
    masks: Tensor
    grey: tuple[int, ...]
    image_size: tuple[int, int]
    within: Tensor | None = None
    sampling: str = "exact"
    edited: bool = False
    likeness: tuple[Likeness, ...] = ()
    unchecked: object | None = None

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def side(self) -> int:
        """S: the side of `originals`, the target of `affines`."""
        return self.originals.shape[-1]

    @property
    def drawn(self) -> int:
        """The side at which the network draws, in pixels: that of the crops, unless these were enlarged afterwards."""
        return min(self.side, self.crops.shape[-1])

    @property
    def small(self) -> bool:
        """Whether the network draws fewer pixels than the published ones."""
        return self.drawn < FULL_SIDE

    def image_scales(self) -> list[float]:
        """Of each face, image pixels for a pixel of `originals`: above 1 it is larger in its image than in its crop."""
        return torch.linalg.det(self.affines[:, :, :2]).abs().rsqrt().tolist()

    def with_crops(self, crops: Tensor) -> "AlignedFaces":
        """The same faces with other crops (N, 3, S', S')."""
        return replace(self, crops=crops)

    def with_masks(self, masks: Tensor) -> "AlignedFaces":
        """The same faces with other masks (N, 1, S, S)."""
        return replace(self, masks=masks)

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
        return replace(
            parts[0],
            faces=tuple(face._replace(image_index=index) for index, part in enumerate(parts) for face in part.faces),
            grey=tuple(flag for part in filled for flag in part.grey),
            likeness=tuple(one for part in filled for one in part.likeness),
            within=within,
            affines=torch.cat([part.affines for part in filled]),
            masks=with_rows([part.masks for part in filled], lambda masks: torch.cat(list(masks))),
            **_shared(
                [part.originals for part in filled], [part.crops for part in filled], lambda parts: torch.cat(list(parts))
            ),
        )

    def of_image(self, index: int) -> "AlignedFaces":
        """The faces of one image of the batch with the area of that image alone, as a batch of one."""
        own = self.subset([row for row, face in enumerate(self.faces) if face.image_index == index])
        within = self.within if self.within is None or len(self.within) == 1 else self.within[index : index + 1]
        return replace(own, faces=tuple(face._replace(image_index=0) for face in own.faces), within=within)

    def subset(self, indices: Sequence[int]) -> "AlignedFaces":
        """These faces alone, in this order."""
        rows = list(indices)
        if rows == list(range(len(self))):
            return self
        faces, grey = (tuple(values[row] for row in rows) for values in (self.faces, self.grey))
        return replace(
            self,
            faces=faces,
            grey=grey,
            likeness=tuple(self.likeness[row] for row in rows) if self.likeness else (),
            affines=self.affines[rows],
            masks=with_rows([self.masks], lambda masks: _rows(masks[0], rows)),
            **_shared([self.originals], [self.crops], lambda parts: _rows(parts[0], rows)),
        )

    def to(self, dtype: torch.dtype) -> "AlignedFaces":
        """The same faces with originals and crops of another precision."""
        return replace(self, **_shared([self.originals], [self.crops], lambda parts: parts[0].to(dtype)))


def _rows(tensor: Tensor, rows: list[int]) -> Tensor:
    """These rows of a tensor; without a tensor of indices, which would be copied to a GPU."""
    return torch.cat([tensor[row : row + 1] for row in rows]) if rows else tensor[:0]


def _shared(
    originals: Sequence[Tensor], crops: Sequence[Tensor], change: Callable[[Sequence[Tensor]], Tensor]
) -> dict[str, Tensor]:
    """`change` applied to originals and crops, only once where they are the same tensors, as before a restoration."""
    changed = change(originals)
    alike = all(one is other for one, other in zip(originals, crops, strict=True))
    return {"originals": changed, "crops": changed if alike else change(crops)}
