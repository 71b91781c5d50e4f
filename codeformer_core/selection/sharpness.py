"""Sharpness of faces: gradient energy at two scales, which does not depend on the size of a face above 128 pixels."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..align import CROP_BOX
from ..faces import Box, Face
from ..imaging.grey import REC601
from ..runtime.transfer import read_back

#: The two scales, as sides of the face in pixels: detail is what the finer one shows and the coarser one cannot.
FINE, COARSE = 128, 32

#: The middle part of a box that is measured, so that the background is not.
INNER = 0.8


def measure_sharpness(images: Tensor, faces: Sequence[Face], fine: int = FINE) -> list[float]:
    """How sharp faces are: 0 shows no detail finer than 1/32 of the face, 1 has crisp edges, above 1 there is fine texture.

    It compares the energy of the gradients at two sizes of the face. A smooth image has 1/16 of the energy per pixel when it
    is four times as large (0), a crisp edge 1/4 (1), independent texture all of it (2). Contrast and light cancel out, and a
    face that is smaller than 128 pixels lacks detail by itself.

    Args:
        images: (B, 3, H, W) RGB in [0, 1].
        faces: faces of these images; only their boxes are read.
        fine: the finer scale, a side of the face in pixels; the coarser one is a quarter of it.
    """
    measured = [measure_energies(images[face.image_index : face.image_index + 1], face.box, fine) for face in faces]
    return [sharpness(*energies.tolist()) for energies in read_back(*measured)]


def measure_crop_sharpness(crops: Tensor) -> list[float]:
    """The same for aligned faces (N, 3, S, S) RGB in [0, 1], such as `AlignedFaces.originals`.

    It differs by at most 0.06 for faces above 200 pixels; smaller ones were enlarged when they were cut out, which changes
    them by 0.2 in the mean.
    """
    x0, y0, x1, y1 = (value * crops.shape[-1] for value in CROP_BOX)
    return [
        sharpness(*energies.tolist())
        for energies in read_back(*(measure_energies(crop[None], (x0, y0, x1, y1)) for crop in crops))
    ]


def measure_energies(image: Tensor, box: Box, finer: float = FINE) -> Tensor:
    """What `sharpness` needs of the face in `box` of an image (1, 3, H, W): (2,) on its device; zeros where it is too small."""
    height, width = image.shape[-2:]
    x0, y0, x1, y1 = box
    longer = max(x1 - x0, y1 - y0)
    trim_x, trim_y = (x1 - x0) * (1 - INNER) / 2, (y1 - y0) * (1 - INNER) / 2
    left, right = max(0, round(x0 + trim_x)), min(width, round(x1 - trim_x))
    top, bottom = max(0, round(y0 + trim_y)), min(height, round(y1 - trim_y))
    if right - left < 2 or bottom - top < 2:
        return image.new_zeros(2, dtype=torch.float32)
    red, green, blue = image[:, :, top:bottom, left:right].split(1, dim=1)  # a tensor of weights would be copied to a GPU
    luminance = (red * REC601[0] + green * REC601[1] + blue * REC601[2]).float()
    return torch.stack([_energy(luminance, side / longer) for side in (finer, finer * COARSE / FINE)])


def sharpness(fine: float, coarse: float) -> float:
    """See `measure_sharpness`; the energy of the gradients at two sizes of a face."""
    # Less than half a level of 255 between neighbours is no face, whatever the ratio says.
    if coarse < (0.5 / 255) ** 2 or fine <= 0:
        return 0.0
    return max(0.0, 2 + math.log(fine / coarse, 4))


def _energy(luminance: Tensor, scale: float) -> Tensor:
    """Mean squared gradient of (1, 1, h, w) at another scale, per pixel of that scale."""
    size = [max(2, round(side * scale)) for side in luminance.shape[-2:]]
    return gradient_energy(F.interpolate(luminance, size=size, mode="bilinear", antialias=scale < 1))


def gradient_energy(luminance: Tensor) -> Tensor:
    """Mean squared gradient of (1, 1, h, w), a single value on its device."""
    return luminance.diff(dim=3).square().mean() + luminance.diff(dim=2).square().mean()
