"""Colorization of whole photos: a network says the hues, the photo keeps its luminance."""

from dataclasses import replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..align import warp_to_crops
from ..faces import AlignedFaces
from ..imaging.lab import chroma, from_luminance_and_chroma, grey, relative_luminance
from ..imaging.resize import resize
from ..masks.styles import oval_mask
from ..runtime.finite import check_finite
from ..runtime.progress import Tick, no_tick

#: Rows of an image that are converted at once, so that few copies of a large one are in memory.
ROWS = 256


class Colorizer(Protocol):
    """A colorization network for any photo; `side` is the side of the squares that it sees."""

    side: int

    def chroma(self, grey: Tensor) -> Tensor:
        """Photos (N, 1, side, side) in [0, 1], stretched to squares -> the a and b of CIE Lab (N, 2, side, side)."""
        ...


def colour_images(images: Tensor, colorizer: Colorizer, tick: Tick = no_tick) -> Tensor:
    """Images (B, 3, H, W) RGB in [0, 1] with the colours that the network gives them, and with their own luminance.

    The luminance is that of CIE Lab, in float32; a tint of the image, such as sepia, is replaced.

    Args:
        tick: progress in images, see `runtime.progress.Tick`.
    """
    height, width = images.shape[-2:]
    result = torch.empty_like(images)
    tick(0, len(images))
    for index, image in enumerate(images.split(1)):
        small = resize(image.float(), colorizer.side)
        ab = check_finite(colorizer.chroma(grey(relative_luminance(small))), colorizer, small).to(images.device)
        ab = F.interpolate(ab, size=(height, width), mode="bilinear")
        for top in range(0, height, ROWS):
            rows = slice(top, top + ROWS)
            luminance = relative_luminance(image[:, :, rows].float().clamp(0, 1))
            result[index : index + 1, :, rows] = from_luminance_and_chroma(luminance, ab[:, :, rows]).to(images.dtype)
        tick(index + 1, len(images))
    return result


def blend_hues(faces: AlignedFaces, surroundings: Tensor, keep_luminance: bool = False) -> AlignedFaces:
    """Coloured faces whose hues fade into those of their coloured images, inside the oval of the face.

    Two networks that know nothing of each other give skin two tones: without this one ends where a face is pasted. What the
    faces are compared with when they are pasted becomes the coloured image too.

    Args:
        surroundings: (B, 3, H, W) RGB in [0, 1], the coloured images.
        keep_luminance: the lightness of the surroundings, which is the photo's, instead of the network's.
    """
    if not len(faces):
        return faces
    originals = warp_to_crops(surroundings.to(faces.originals), faces)
    around = resize(originals, faces.crops.shape[-1])
    weight = resize(oval_mask(faces).contiguous(), faces.crops.shape[-1])
    luminance = relative_luminance(around if keep_luminance else faces.crops)
    crops = from_luminance_and_chroma(luminance, torch.lerp(chroma(around), chroma(faces.crops), weight))
    return replace(faces, crops=crops, originals=originals)
