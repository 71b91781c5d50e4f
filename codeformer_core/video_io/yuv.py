"""YUV to RGB and back: matrix (BT.601, BT.709, BT.2020), range (limited, full), bit depth and chroma subsampling."""

from dataclasses import dataclass
from functools import partial

import cv2
import torch
from torch import Tensor
from torch.nn import functional

from ..runtime.transfer import as_float

#: AVColorSpace (ISO/IEC 23091-2, "MatrixCoefficients") -> the weights of red and blue in luma, from the same table.
WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}

#: AVColorRange: full range.
FULL = 2


@dataclass(frozen=True)
class ColourSpace:
    """The colour space of a video in FFmpeg's numbers; what a file does not specify stays unspecified.

    Attributes:
        matrix: AVColorSpace, 2 is unspecified.
        range: AVColorRange, 0 is unspecified (taken for limited), 1 limited, 2 full.
        primaries: AVColorPrimaries, 2 is unspecified.
        transfer: AVColorTransferCharacteristic, 2 is unspecified; 16 (PQ) and 18 (HLG) are HDR.
    """

    matrix: int
    range: int
    primaries: int
    transfer: int

    @property
    def full(self) -> bool:
        """Whether samples are full range."""
        return self.range == FULL

    def for_size(self, height: int, width: int) -> int:
        """The matrix (AVColorSpace). Unspecified is BT.709 from 1280 columns or 577 rows on, else BT.601, as players guess."""
        guess = 1 if width >= 1280 or height > 576 else 6  # mpv's rule (video/csputils.c, mp_csp_guess_colorspace)
        return self.matrix if self.matrix in WEIGHTS else guess


@dataclass(frozen=True)
class SampleFormat:
    """Layout and colour space of the sample planes of a frame.

    Attributes:
        bits: of a sample.
        rgb: the planes are green, blue, red (FFmpeg's order), else luma, Cb and Cr.
        subsampling: luma pixels per chroma sample, vertical and horizontal.
        full: full range.
        weights: of red and blue in luma, see `WEIGHTS`.
    """

    bits: int
    rgb: bool
    subsampling: tuple[int, int]
    full: bool
    weights: tuple[float, float]

    def _scales(self) -> tuple[float, float, float]:
        """Sample values: of black, from black to white, and of a chroma excursion of 1."""
        steps = float(2**self.bits - 1)
        if self.rgb or self.full:
            return 0.0, steps, steps
        unit = float(2 ** (self.bits - 8))
        return 16 * unit, 219 * unit, 224 * unit  # ITU-R BT.601 and BT.709, limited range

    def to_rgb(self, planes: list[Tensor]) -> Tensor:
        """One (grey) or three sample planes (h, w), as `transfer.upload` gives them -> (1, 3, H, W) float32 RGB in [0, 1].

        Chroma is upsampled bilinearly, centred between its luma pixels (as in FFmpeg).
        """
        black, white, difference = self._scales()
        first = as_float(planes[0]).sub_(black).div_(white)  # (H, W)
        if len(planes) == 1:
            return first.clamp_(0, 1)[None, None].repeat(1, 3, 1, 1)
        if self.rgb:
            green, blue, red = first, *((as_float(plane) - black) / white for plane in planes[1:])
            return torch.stack([red, green, blue])[None].clamp_(0, 1)
        red, blue = self.weights
        middle = 2.0 ** (self.bits - 1)
        b, r = ((as_float(plane) - middle) / difference for plane in planes[1:3])
        r, b = 2 * (1 - red) * r, 2 * (1 - blue) * b  # red and blue minus luma
        offsets = torch.stack([r, (red * r + blue * b) / (red + blue - 1), b])[None]  # (1, 3, h, w)
        if self.subsampling != (1, 1):
            size = offsets.shape[2] * self.subsampling[0], offsets.shape[3] * self.subsampling[1]
            upsample = upsample_by_opencv if offsets.device.type == "cpu" else partial(functional.interpolate, mode="bilinear")
            offsets = upsample(offsets, size)[:, :, : first.shape[0], : first.shape[1]]
        return offsets.add_(first).clamp_(0, 1)

    def from_rgb(self, image: Tensor, planes: int) -> list[Tensor]:
        """(1, 3, H, W) RGB in [0, 1] -> the inverse: `planes` planes of unrounded float32 sample values."""
        black, white, difference = self._scales()
        r, g, b = image[0].float()
        if self.rgb:
            return [plane * white + black for plane in (g, b, r)]
        red, blue = self.weights
        luma = red * r + (1 - red - blue) * g + blue * b
        result = [luma * white + black]
        if planes > 1:
            middle = 2.0 ** (self.bits - 1)
            differences = torch.stack([(b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))])
            result += list(self.subsample(differences) * difference + middle)
        return result

    def subsample(self, planes: Tensor) -> Tensor:
        """(K, H, W) -> (K, h, w): chroma subsampling by the mean over the luma pixels of each sample."""
        if self.subsampling == (1, 1):
            return planes
        return functional.avg_pool2d(planes[None], self.subsampling, ceil_mode=True, count_include_pad=False)[0]


def upsample_by_opencv(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """`interpolate(planes, size, mode="bilinear")` of planes (1, K, h, w) float32 on the CPU, in a ninth of the time."""
    result = torch.empty(1, planes.shape[1], *size)
    for plane, target in zip(planes[0].numpy(), result[0].numpy(), strict=True):
        cv2.resize(plane, size[::-1], dst=target, interpolation=cv2.INTER_LINEAR)
    return result
