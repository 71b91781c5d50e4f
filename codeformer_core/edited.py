"""Faces whose crops were changed outside, by a person or another program."""

from dataclasses import replace

from torch import Tensor

from .faces import AlignedFaces
from .parts import fitted


def with_edited(aligned: AlignedFaces, crops: Tensor, masks: Tensor | None = None) -> AlignedFaces:
    """The same faces with crops, and masks in the place of all that limited them, that may have any size.

    Args:
        crops: (N, 3, s, s) RGB in [0, 1], in the order of the faces.
        masks: (1 or N, 1, h, w) in [0, 1]; 1 takes the crop. A single one serves every face.

    Raises:
        ValueError: another number of crops or masks than faces, or crops that are not square.
    """
    count, _, height, width = crops.shape
    if count != len(aligned):
        raise ValueError(
            f"Found {count} crops for {len(aligned)} faces. Expected one crop for each face, in the same order: connect the "
            "faces that the crops were made from, and leave none out."
        )
    if height != width:
        raise ValueError(
            f"Found crops of {width} x {height} pixels. Expected squares, since a face is cut out as a square: enlarge or edit "
            "crops without changing their proportions."
        )
    changed = aligned.with_crops(crops.to(aligned.originals))
    if masks is None:
        return changed
    if len(masks) not in (1, len(aligned)):
        raise ValueError(
            f"Found {len(masks)} masks for {len(aligned)} faces. Expected one for each face, or one for all: connect the masks "
            "of Faces to Crops."
        )
    stretched = fitted(masks.to(aligned.masks), aligned.side, aligned.side).clamp(0, 1)
    return replace(changed, masks=stretched.expand_as(aligned.masks), within=None)
