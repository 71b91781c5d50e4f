"""Limits of a paste that apply with every mask style: parts of the face, areas of the images, opacity."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..align import stretch_over_images, warp_to_crops
from ..faces import AlignedFaces, with_rows
from ..imaging.morphology import grow_and_feather
from .parsing import Parser, parse_faces, parts_mask


def exclude(aligned: AlignedFaces, mask: Tensor) -> AlignedFaces:
    """Faces that are not pasted where a mask over the images is 1 (a hand before the face); otherwise as `restrict_to`."""
    return restrict_to(aligned, 1 - mask.to(aligned.masks).clamp(0, 1))


def restrict_to(aligned: AlignedFaces, mask: Tensor) -> AlignedFaces:
    """Faces that are pasted only where a mask over the images is 1, on top of what limited them before.

    The mask stays in the images, where it is exact: a pixel that it forbids is bit-identical after a paste.

    Args:
        mask: (1 or B, 1, h, w) in [0, 1], stretched over the images; a single one serves every image.
    """
    area = stretch_over_images(mask.to(aligned.masks), aligned).clamp(0, 1)
    return replace(aligned, within=area if aligned.within is None else aligned.within * area)


def restrict_to_parts(
    aligned: AlignedFaces, parts: Sequence[str], parser: Parser | None, *, grow: int = 0, feather: int = 0
) -> AlignedFaces:
    """Faces that are pasted only where these parts of the face are, on top of what limited them before.

    Args:
        parts: names in `parsing.PART_CLASSES`; without any, nothing is pasted.
        parser: called once for each batch of crops.
        grow, feather: pixels of the crop, see `morphology.grow_and_feather`.
    """
    if not len(aligned):
        return aligned
    if parser is None:
        raise ValueError("Choosing parts of the face needs a face parser and there is none: load ParseNet or BiSeNet.")
    chosen = grow_and_feather(parts_mask(parse_faces(aligned, parser), parts, aligned.side), grow, feather)
    return aligned.with_masks(aligned.masks * chosen.to(aligned.masks.dtype))


def with_opacity(aligned: AlignedFaces, opacity: float | Sequence[float] | Tensor) -> AlignedFaces:
    """Faces pasted with this opacity, a number or one per face (N,): 0 leaves the image as it was, 1 shows the crop."""
    if not isinstance(opacity, Tensor) and opacity == 1:
        return aligned
    # Numbers are checked on the CPU: checking a tensor waits for its device.
    opacities = torch.as_tensor(opacity, dtype=aligned.masks.dtype).reshape(-1, 1, 1, 1)
    if not bool(((opacities >= 0) & (opacities <= 1)).all()):
        raise ValueError(f"Found a blend of {opacity}. Expected 0 (the image as it was) to 1 (the restored face).")
    if len(opacities) not in (1, len(aligned)):
        raise ValueError(f"Found {len(opacities)} blends for {len(aligned)} faces. Expected one number, or one for each face.")
    if bool((opacities == 1).all()):
        return aligned
    opacities = float(opacities) if len(opacities) == 1 else opacities.to(aligned.masks.device)
    return aligned.with_masks(with_rows([aligned.masks], lambda masks: masks[0] * opacities))


def crop_masks(aligned: AlignedFaces) -> Tensor:
    """All limits of each crop, those of the images included, without a mask style: (N, 1, S, S)."""
    return aligned.masks if aligned.within is None else aligned.masks * warp_to_crops(aligned.within, aligned)
