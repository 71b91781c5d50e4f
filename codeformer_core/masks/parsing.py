"""Face parsing: the parts that a user can choose, their ParseNet classes, and masks of them."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..faces import AlignedFaces
from ..imaging.resize import resize

#: ParseNet's classes of each of `options.PARTS`; every class but the background is in one part.
PART_CLASSES: dict[str, tuple[int, ...]] = {
    "skin": (1,),
    "brows": (6, 7),
    "eyes": (4, 5),
    "glasses": (3,),
    "ears": (8, 9),
    "earrings": (15,),
    "nose": (2,),
    "mouth": (10,),
    "lips": (11, 12),
    "hair": (13,),
    "hat": (14,),
    "neck": (17,),
    "necklace": (16,),
    "cloth": (18,),
}

#: The parts that are face in the reference (MASK_COLORMAP).
FACE_PARTS = tuple(name for name in PART_CLASSES if name not in ("hat", "neck", "necklace", "cloth"))


class Parser(Protocol):
    """A face parsing network."""

    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) RGB in [0, 1] -> labels (N, s, s), ParseNet's classes."""
        ...


def parse_faces(aligned: AlignedFaces, parser: Parser, batch: int = 4) -> Tensor:
    """The class of each pixel of the crops: labels (N, s, s) uint8 on the masks' device, ParseNet's classes.

    `crops` are parsed, not `originals`: a restored face is parsed better than a degraded one.

    Args:
        batch: crops per call of the parser.
    """
    labels = [parser.parse(crops).to(aligned.masks.device, torch.uint8) for crops in aligned.crops.split(batch)]
    return torch.cat(labels)


def parts_mask(labels: Tensor, parts: Sequence[str], side: int | None = None) -> Tensor:
    """A mask of these parts of the face, with hard edges.

    Args:
        labels: (N, s, s), ParseNet's classes, see `parse_faces`.
        parts: names in `PART_CLASSES`; without any, the mask is 0.
        side: of the result; that of the labels when none is given.

    Returns:
        (N, 1, side, side) float32 in [0, 1].
    """
    unknown = [name for name in parts if name not in PART_CLASSES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no part of a face. Use one or more of: {', '.join(PART_CLASSES)}.")
    classes = [number for name in parts for number in PART_CLASSES[name]]
    bits = sum(1 << number for number in classes)  # a tensor of the classes would be copied to a GPU
    chosen = ((bits >> labels.int().clamp(max=30)) & 1).float()[:, None]
    return chosen if side is None else resize(chosen, side, side)
