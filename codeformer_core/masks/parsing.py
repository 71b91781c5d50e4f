"""Which part of the face is where in a crop: the parts that a user can choose, and masks of them."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..faces import AlignedFaces
from ..imaging.resize import resize

#: The parts that a user can choose, and ParseNet's classes of each; every class but the background is in one group.
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

#: The groups that are face in the reference (MASK_COLORMAP).
FACE_PARTS = tuple(name for name in PART_CLASSES if name not in ("hat", "neck", "necklace", "cloth"))


class Parser(Protocol):
    """What finds the parts of a face."""

    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) RGB in [0, 1] -> labels (N, s, s), ParseNet's classes."""
        ...


def parse_faces(aligned: AlignedFaces, parser: Parser, batch: int = 4) -> Tensor:
    """Which part of the face each pixel of the crops is: labels (N, s, s) uint8 on the masks' device, ParseNet's classes.

    The crops as they are now are parsed: the parts of a restored face are clearer than those of a degraded one.

    Args:
        batch: crops per call of the parser.
    """
    labels = [parser.parse(crops).to(aligned.masks.device, torch.uint8) for crops in aligned.crops.split(batch)]
    return torch.cat(labels)


def parts_mask(labels: Tensor, groups: Sequence[str], side: int | None = None) -> Tensor:
    """The parts in these groups, with hard edges.

    Args:
        labels: (N, s, s), ParseNet's classes, see `labels_of`.
        groups: names in `GROUPS`; without any, nothing is chosen.
        side: of the result, when it is not the labels'.

    Returns:
        (N, 1, side, side) float32 in [0, 1].
    """
    unknown = [name for name in groups if name not in PART_CLASSES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no part of a face. Use one or more of: {', '.join(PART_CLASSES)}.")
    classes = [number for name in groups for number in PART_CLASSES[name]]
    chosen = torch.isin(labels, torch.tensor(classes, dtype=labels.dtype, device=labels.device)).float()[:, None]
    return chosen if side is None else resize(chosen, side, side)
