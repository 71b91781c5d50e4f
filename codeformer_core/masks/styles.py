"""Mask styles: the alpha mask under which a crop is pasted, one function and one table row each."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..faces import AlignedFaces
from ..imaging.morphology import blur
from ..imaging.resize import resize
from .parsing import FACE_PARTS, Parser, parse_faces, parts_mask

#: Fraction of the side over which the box style fades: the width that the reference's square fades over.
FEATHER = 0.1


def box_mask(aligned: AlignedFaces, parser: Parser | None = None) -> Tensor:
    """The whole crop, faded out along a linear ramp at each side: (N, 1, S, S)."""
    side = aligned.side
    centres = torch.arange(side, device=aligned.masks.device, dtype=aligned.masks.dtype) + 0.5
    ramp = (torch.minimum(centres, side - centres) / (FEATHER * side)).clamp(max=1)
    return torch.minimum(ramp[:, None], ramp[None, :]).expand_as(aligned.masks)


def face_mask(aligned: AlignedFaces, parser: Parser | None) -> Tensor:
    """The parts that belong to the face, blurred as the reference does: (N, 1, S, S).

    The restored face is parsed, since its parts are clearer; the 512-pixel labels are blurred twice with a Gaussian of sigma
    11, and the outermost 10 pixels are cleared (face_restoration_helper.py).
    """
    assert parser is not None  # get_mask_style checks it
    chosen = parts_mask(parse_faces(aligned, parser), FACE_PARTS).to(aligned.masks.dtype)
    soft = blur(blur(chosen, 11.0, 50), 11.0, 50)
    inner = torch.zeros_like(soft)
    inner[..., 10:-10, 10:-10] = soft[..., 10:-10, 10:-10]
    return resize(inner, *aligned.masks.shape[-2:])


class MaskStyle(NamedTuple):
    """A row of `MASKS`.

    Attributes:
        crop_mask: (faces, parser) -> masks (N, 1, S, S) in [0, 1]; None covers the whole crop.
        seam: whether the border of the crop is faded in the image by `morphology.seam_mask`, as the reference does.
        needs_parser: whether `crop_mask` calls the parser.
    """

    crop_mask: Callable[[AlignedFaces, Parser | None], Tensor] | None
    seam: bool
    needs_parser: bool


#: One row for each of `options.MASKS`: the reference's mask, the reference's with use_parse, a plain feathered box.
MASKS: dict[str, MaskStyle] = {
    "square": MaskStyle(None, seam=True, needs_parser=False),
    "face": MaskStyle(face_mask, seam=True, needs_parser=True),
    "box": MaskStyle(box_mask, seam=False, needs_parser=False),
}


def get_mask_style(name: str, parser: Parser | None) -> MaskStyle:
    """The row of `MASKS` with this name; a ValueError for an unknown name, or a missing parser."""
    if name not in MASKS:
        raise ValueError(f"{name!r} is no mask style. Use one of: {', '.join(MASKS)}.")
    if MASKS[name].needs_parser and parser is None:
        raise ValueError(f"The mask style {name!r} needs a face parser and there is none: load ParseNet, or choose 'square'.")
    return MASKS[name]
