"""Where a crop covers the picture: mask styles, one function each, and the seam that fades a crop's border."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from .faces import AlignedFaces

#: ParseNet's classes that are face in the reference (MASK_COLORMAP): all but background, hat, necklace, neck and cloth.
FACE_CLASSES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15)

#: Fraction of the side over which the box style fades: the width that the reference's square fades over.
FEATHER = 0.1


class Parser(Protocol):
    """What finds the parts of a face."""

    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) RGB in [0, 1] -> labels (N, s, s), ParseNet's classes."""
        ...


def square_mask(aligned: AlignedFaces, parser: Parser | None = None) -> Tensor:
    """The whole crop: (N, 1, S, S) of ones."""
    return torch.ones_like(aligned.masks)


def box_mask(aligned: AlignedFaces, parser: Parser | None = None) -> Tensor:
    """The whole crop, faded to nothing along a straight ramp at each side: (N, 1, S, S)."""
    side = aligned.side
    centres = torch.arange(side, device=aligned.masks.device, dtype=aligned.masks.dtype) + 0.5
    ramp = (torch.minimum(centres, side - centres) / (FEATHER * side)).clamp(max=1)
    return torch.minimum(ramp[:, None], ramp[None, :]).expand_as(aligned.masks)


def face_mask(aligned: AlignedFaces, parser: Parser | None) -> Tensor:
    """The parts that belong to the face, blurred as the reference does: (N, 1, S, S).

    The restored face is parsed, since its parts are clearer; the 512-pixel labels are blurred twice with a Gaussian of sigma
    11, and the outermost 10 pixels are cleared (face_restoration_helper.py).
    """
    assert parser is not None  # mask_style has seen to it
    labels = parser.parse(aligned.crops)
    chosen = torch.isin(labels, torch.tensor(FACE_CLASSES, device=labels.device)).to(aligned.masks.dtype)[:, None]
    soft = _blur(_blur(chosen, 11.0, 50), 11.0, 50)
    inner = torch.zeros_like(soft)
    inner[..., 10:-10, 10:-10] = soft[..., 10:-10, 10:-10]
    return F.interpolate(inner, size=aligned.masks.shape[-2:], mode="bilinear", antialias=True)


class MaskStyle(NamedTuple):
    """A row of `MASKS`.

    Attributes:
        make: (faces, parser) -> masks (N, 1, S, S) in [0, 1].
        seam: whether the border of the crop is faded by `seam` in the picture, as the reference does.
        needs_parser: whether `make` calls the parser.
    """

    make: Callable[[AlignedFaces, Parser | None], Tensor]
    seam: bool
    needs_parser: bool


#: "square": the reference's mask; "face": the reference's with use_parse; "box": a plain feathered box.
MASKS: dict[str, MaskStyle] = {
    "square": MaskStyle(square_mask, seam=True, needs_parser=False),
    "face": MaskStyle(face_mask, seam=True, needs_parser=True),
    "box": MaskStyle(box_mask, seam=False, needs_parser=False),
}


def mask_style(name: str, parser: Parser | None) -> MaskStyle:
    """The row of `MASKS` with this name; a ValueError when there is none, or when it needs a parser and there is none."""
    if name not in MASKS:
        raise ValueError(f"{name!r} is no mask style. Use one of: {', '.join(MASKS)}.")
    if MASKS[name].needs_parser and parser is None:
        raise ValueError(f"The mask style {name!r} needs a face parser and there is none: load ParseNet, or choose 'square'.")
    return MASKS[name]


def seam(covered: Tensor, scale: float) -> Tensor:
    """The reference's square mask: what the warped crop covers, shrunk by a tenth of its side and blurred over that tenth.

    Args:
        covered: (1, 1, h, w) in [0, 1]: ones under the warp, with a margin of zeros where it ends inside the picture.
        scale: how many times larger the picture is than the one that the face was found in.

    Returns:
        (1, 1, h, w) in [0, 1].
    """
    covered = _erode(covered, max(1, int(2 * scale)))
    edge = int(math.sqrt(float(covered.sum()))) // 20
    if edge == 0:
        return covered
    # OpenCV chooses this sigma for a kernel of 2 * edge + 1 when it is given none (getGaussianKernel).
    sigma = 0.3 * (edge - 1) + 0.8
    return _blur(_erode(covered, 2 * edge), sigma, edge).clamp(max=1)  # a kernel's weights sum to 1 only nearly


def _erode(mask: Tensor, size: int) -> Tensor:
    """The least value in a square of `size` pixels; an even one reaches a pixel further to the top left, as OpenCV's does."""
    if mask.device.type != "cpu":
        return _erode_torch(mask, size)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (size, size))
    return torch.from_numpy(cv2.erode(mask[0, 0].numpy(), kernel))[None, None]


def _erode_torch(mask: Tensor, size: int) -> Tensor:
    before, after = size // 2, size - 1 - size // 2
    padded = F.pad(mask, (before, after, before, after), value=1.0)
    rows = -F.max_pool2d(-padded, (1, size), stride=1)
    return -F.max_pool2d(-rows, (size, 1), stride=1)


def _blur(mask: Tensor, sigma: float, radius: int) -> Tensor:
    """Masks (N, 1, h, w) under a Gaussian that ends at `radius`, mirrored at the border (BORDER_REFLECT_101)."""
    if mask.device.type != "cpu":
        return _blur_torch(mask, sigma, radius)
    size = (2 * radius + 1, 2 * radius + 1)
    return torch.stack([torch.from_numpy(cv2.GaussianBlur(m[0].numpy(), size, sigma))[None] for m in mask])


def _blur_torch(mask: Tensor, sigma: float, radius: int) -> Tensor:
    offsets = torch.arange(-radius, radius + 1, device=mask.device, dtype=mask.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    for axis, shape in ((3, (1, 1, 1, -1)), (2, (1, 1, -1, 1))):
        index = torch.arange(-radius, mask.shape[axis] + radius, device=mask.device)
        period = max(1, 2 * (mask.shape[axis] - 1))
        index = index.remainder(period)
        mask = F.conv2d(mask.index_select(axis, torch.minimum(index, period - index)), kernel.reshape(shape))
    return mask
