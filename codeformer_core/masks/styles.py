"""Mask styles: the alpha mask under which a crop is pasted, one function and one table row each."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..align import TEMPLATE_SIDE
from ..faces import AlignedFaces
from ..imaging.morphology import blur
from ..imaging.resize import resize
from .parsing import FACE_PARTS, Parser, parse_faces, parts_mask

#: Fraction of the side over which the box style fades: the width that the reference's square fades over.
FEATHER = 0.1

#: The oval in a crop of 512 pixels: its centre, half its width and half its height, and the fraction of these over which it
#: fades. Fitted (least squares, RMS 0.07) to the mean of the face contours that MediaPipe's FaceMesh finds in 1004 aligned
#: faces. The FFHQ pose puts every face in the same place; 19 of 20 contours are within 0.78 and 1.21 of it.
OVAL_CENTRE = (255.8, 295.7)
OVAL_RADII = (146.8, 167.8)
OVAL_FADE = 0.35


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


def oval_mask(aligned: AlignedFaces, parser: Parser | None = None) -> Tensor:
    """A soft ellipse where a face is in the FFHQ pose, so that hair and background keep their pixels: (N, 1, S, S)."""
    unit = aligned.side / TEMPLATE_SIDE
    pixels = torch.arange(aligned.side, device=aligned.masks.device, dtype=torch.float32)
    x, y = (((pixels + 0.5) / unit - 0.5 - centre) / radius for centre, radius in zip(OVAL_CENTRE, OVAL_RADII, strict=True))
    distance = torch.hypot(y[:, None], x[None, :])
    return ((1 - distance) / OVAL_FADE + 0.5).clamp(0, 1).to(aligned.masks.dtype).expand_as(aligned.masks)


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


#: One row for each of `options.MASKS` but "auto": the reference's mask, the reference's with use_parse, a plain feathered box,
#: an ellipse.
MASKS: dict[str, MaskStyle] = {
    "square": MaskStyle(None, seam=True, needs_parser=False),
    "face": MaskStyle(face_mask, seam=True, needs_parser=True),
    "box": MaskStyle(box_mask, seam=False, needs_parser=False),
    "oval": MaskStyle(oval_mask, seam=False, needs_parser=False),
}


def get_mask_style(name: str, parser: Parser | None) -> MaskStyle | None:
    """The row of `MASKS` with this name, None for "auto"; a ValueError for an unknown name, or a missing parser."""
    if name == "auto":
        return None
    if name not in MASKS:
        raise ValueError(f"{name!r} is no mask style. Use one of: auto, {', '.join(MASKS)}.")
    if MASKS[name].needs_parser and parser is None:
        raise ValueError(f"The mask style {name!r} needs a face parser and there is none: load ParseNet, or choose 'square'.")
    return MASKS[name]


def automatic_style(aligned: AlignedFaces) -> MaskStyle:
    """The style "auto": the oval for crops below 512 pixels, whose blur shows most in hair and background; else the square."""
    return MASKS["oval" if aligned.small else "square"]
