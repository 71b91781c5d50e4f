"""Colour of images and crops: luminance and chroma, greyscale crops, and colours matched to the original."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..faces import FULL_SIDE
from .grey import Grey
from .resize import resize

#: Luminance of R, G, B as the reference weighs them (facelib/utils/misc.py, bgr2gray).
LUMINANCE = (0.2989, 0.5870, 0.1140)

#: JFIF's Y, Cr and Cb of R, G, B.
YCRCB = torch.tensor([LUMINANCE, (0.5, -0.4187, -0.0813), (-0.1687, -0.3313, 0.5)])


def luminance(crops: Tensor) -> Tensor:
    """(N, 3, S, S) RGB -> (N, 1, S, S)."""
    red, green, blue = crops.split(1, dim=1)  # weighed by Python numbers: a tensor of them would be copied to the device
    return red * LUMINANCE[0] + green * LUMINANCE[1] + blue * LUMINANCE[2]


def _with_statistics(crops: Tensor, of: Tensor) -> Tensor:
    """Crops with the mean and standard deviation of each channel of `of`."""
    mean, spread = crops.mean((2, 3), keepdim=True), crops.std((2, 3), keepdim=True)
    return (crops - mean) / (spread + 1e-5) * of.std((2, 3), keepdim=True) + of.mean((2, 3), keepdim=True)


def keep_grey(crops: Tensor, originals: Tensor, tests: tuple[int, ...], grey: str) -> Tensor:
    """Crops of grey images as luminance, with the original's mean and deviation in each channel, which keep a tint (sepia).

    Args:
        crops, originals: (N, 3, S, S) in [0, 1].
        tests: N, by which tests the crop's image is grey, see `Grey`.
        grey: "auto" and "reference" follow these tests; "on" greys every crop, without a tint; "off" none.
    """
    test = {"auto": Grey.AUTO, "reference": Grey.REFERENCE}.get(grey, 0)
    wanted = [grey == "on" or bool(passed & test) for passed in tests]
    if not any(wanted):
        return crops
    # Where a colour image is to become grey, its own statistics would bring a tint back.
    reference = luminance(originals).expand_as(originals) if grey == "on" else originals
    matched = _with_statistics(luminance(crops).expand_as(crops), reference).clamp(0, 1)
    return torch.stack([new if want else crop for want, new, crop in zip(wanted, matched, crops, strict=True)])


def replace_luminance(crops: Tensor, originals: Tensor) -> Tensor:
    """The chroma of `crops` with the luminance of `originals` (N, 3, S, S)."""
    return clamp_to_gamut(crops - luminance(crops) + luminance(originals))


def clamp_to_gamut(images: Tensor, luma: Tensor | None = None) -> Tensor:
    """Images (N, 3, H, W) brought into [0, 1]: colours outside are desaturated, so that the luminance stays exact.

    Args:
        luma: (N, 1, H, W), by other weights than `luminance` has.
    """
    luma = luminance(images) if luma is None else luma
    chroma = images - luma
    luma = luma.clamp(0, 1)
    zero = torch.zeros_like(chroma)
    up = torch.where(chroma > 0, (1 - luma) / chroma.clamp(min=1e-6), zero + 1)
    down = torch.where(chroma < 0, luma / (-chroma).clamp(min=1e-6), zero + 1)
    saturation = torch.minimum(up, down).amin(1, keepdim=True).clamp(0, 1)
    return (luma + chroma * saturation).clamp(0, 1)  # rounding


def match_mean_and_std(crops: Tensor, originals: Tensor) -> Tensor:
    """Crops with the mean and standard deviation of the original's channels, in YCrCb."""
    matched = _with_statistics(mix_channels(crops.float(), YCRCB), mix_channels(originals.float(), YCRCB))
    return mix_channels(matched, torch.linalg.inv(YCRCB)).clamp(0, 1).to(crops.dtype)


def mix_channels(images: Tensor, matrix: Tensor) -> Tensor:
    """Images (N, 3, H, W) with each pixel multiplied by a matrix (k, 3) on the CPU.

    No matrix product, which TF32 would round to 10 bits on CUDA where the process allows it.
    """
    red, green, blue = images.split(1, dim=1)
    return torch.cat([red * r + green * g + blue * b for r, g, b in matrix.tolist()], dim=1)


def match_coarse_colours(crops: Tensor, originals: Tensor) -> Tensor:
    """The detail of `crops` over the original's low-pass colours, whose cut-off is a sixteenth of the crop."""
    side = crops.shape[-1]
    coarse = max(1, side // 16)

    def low(images: Tensor) -> Tensor:
        return F.interpolate(F.adaptive_avg_pool2d(images, side // coarse), size=(side, side), mode="bicubic")

    return (crops - low(crops) + low(originals)).clamp(0, 1)


#: One function for each of `options.COLOURS` but "auto": (crops, originals), both (N, 3, S, S) in [0, 1] -> crops.
COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "as restored": lambda crops, originals: crops,
    "mean and spread": match_mean_and_std,
    "coarse colours": match_coarse_colours,
}


def match_colours(crops: Tensor, originals: Tensor, how: str) -> Tensor:
    """Crops (N, 3, S', S') with the original's colours by a row of `COLOURS`; the originals (N, 3, S, S) are resized.

    "auto" takes the coarse colours of the original for networks below 512 pixels, whose own are less exact: with the starter
    they raise the PSNR of the test data's five degraded portraits by 0.17 dB, of the same at 64 to 128 pixels by 0.2 to 0.9.
    """
    if how == "auto":
        how = "coarse colours" if originals.shape[-1] < FULL_SIDE else "as restored"
    if how not in COLOURS:
        raise ValueError(f"{how!r} is no way to match colours. Use one of: auto, {', '.join(COLOURS)}.")
    if not len(crops):
        return crops
    return COLOURS[how](crops, resize(originals, *crops.shape[-2:]))
