"""The colours of crops: whether they are grey, grey again, those of the original, or new ones over its light."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .buffers import strips
from .resize import resize

#: Luminance of R, G, B as the reference weighs them (facelib/utils/misc.py, bgr2gray).
LUMINANCE = (0.2989, 0.5870, 0.1140)

#: JFIF's Y, Cr and Cb of R, G, B.
YCRCB = torch.tensor([LUMINANCE, (0.5, -0.4187, -0.0813), (-0.1687, -0.3313, 0.5)])

#: A picture is greyscale when the variances of R-G, G-B and B-R (in levels of 255, squared) have at most this mean (is_gray).
GREY_VARIANCE = 10.0


def is_grey(images: Tensor) -> tuple[bool, ...]:
    """Which images (B, 3, H, W) in [0, 1] are greyscale, tinted ones (sepia) included: the reference's test."""
    return tuple(map(_is_grey, images))


def _is_grey(image: Tensor) -> bool:
    """Piece by piece: what the pieces so far deviate can only grow, so most pictures show their colours in the first."""
    allowed = 3 * image[0].numel() * GREY_VARIANCE / 255**2
    seen, total, squares = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for rows in strips(image):
        part = image[:, rows].float()
        differences = (part - part.roll(1, 0)).flatten(1)
        seen += differences.shape[1]
        total += differences.sum(1).cpu()
        squares += differences.square_().sum(1).cpu()
        if not (squares - total**2 / seen).sum() <= allowed:  # nor where a pixel is no number
            return False
    return True


def luminance(crops: Tensor) -> Tensor:
    """(N, 3, S, S) RGB -> (N, 1, S, S)."""
    weights = torch.tensor(LUMINANCE, device=crops.device, dtype=crops.dtype).reshape(1, 3, 1, 1)
    return (crops * weights).sum(1, keepdim=True)


def _with_statistics(crops: Tensor, of: Tensor) -> Tensor:
    """Crops with the mean and spread that each channel of `of` has."""
    mean, spread = crops.mean((2, 3), keepdim=True), crops.std((2, 3), keepdim=True)
    return (crops - mean) / (spread + 1e-5) * of.std((2, 3), keepdim=True) + of.mean((2, 3), keepdim=True)


def keep_grey(crops: Tensor, originals: Tensor, flags: tuple[bool, ...], grey: str) -> Tensor:
    """Crops of grey pictures as luminance with the statistics of the original, channel by channel, which keep a tint (sepia).

    Args:
        crops, originals: (N, 3, S, S) in [0, 1].
        flags: N, whether the crop's picture is grey.
        grey: "auto" believes the flags; "on" greys every crop, without a tint; "off" none.
    """
    wanted = [grey == "on" or (grey == "auto" and flag) for flag in flags]
    if not any(wanted):
        return crops
    # Where a picture with colours is to become grey, its own statistics would bring a tint back.
    reference = luminance(originals).expand_as(originals) if grey == "on" else originals
    matched = _with_statistics(luminance(crops).expand_as(crops), reference).clamp(0, 1)
    return torch.where(torch.tensor(wanted, device=crops.device).reshape(-1, 1, 1, 1), matched, crops)


def replace_luminance(crops: Tensor, originals: Tensor) -> Tensor:
    """The hues of `crops` over the light of `originals` (N, 3, S, S): only chroma changes."""
    return clamp_to_gamut(crops - luminance(crops) + luminance(originals))


def clamp_to_gamut(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) brought into [0, 1]: colours that leave it fade towards grey, so that the luminance stays exact."""
    light = luminance(images)
    chroma = images - light
    light = light.clamp(0, 1)
    zero = torch.zeros_like(chroma)
    up = torch.where(chroma > 0, (1 - light) / chroma.clamp(min=1e-6), zero + 1)
    down = torch.where(chroma < 0, light / (-chroma).clamp(min=1e-6), zero + 1)
    room = torch.minimum(up, down).amin(1, keepdim=True).clamp(0, 1)
    return (light + chroma * room).clamp(0, 1)  # rounding


def match_mean_and_std(crops: Tensor, originals: Tensor) -> Tensor:
    """Crops with the mean and spread that the original's channels have, in a space of light and two colour differences."""
    matched = _with_statistics(_mix_channels(crops.float(), YCRCB), _mix_channels(originals.float(), YCRCB))
    return _mix_channels(matched, torch.linalg.inv(YCRCB)).clamp(0, 1).to(crops.dtype)


def _mix_channels(images: Tensor, matrix: Tensor) -> Tensor:
    """Images (N, 3, H, W) with each pixel multiplied by a (3, 3) matrix on the CPU.

    No matrix product, which TF32 would round to 10 bits on CUDA where the process allows it.
    """
    red, green, blue = images.split(1, dim=1)
    return torch.cat([red * r + green * g + blue * b for r, g, b in matrix.tolist()], dim=1)


def match_coarse_colours(crops: Tensor, originals: Tensor) -> Tensor:
    """The detail of `crops` over the coarse colours of the original: what is wider than a sixteenth of the crop."""
    side = crops.shape[-1]
    coarse = max(1, side // 16)

    def low(images: Tensor) -> Tensor:
        return F.interpolate(F.adaptive_avg_pool2d(images, side // coarse), size=(side, side), mode="bicubic")

    return (crops - low(crops) + low(originals)).clamp(0, 1)


#: How the colours of a restored crop follow the original: (crops, originals), both (N, 3, S, S) in [0, 1] -> crops.
COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "as restored": lambda crops, originals: crops,
    "mean and spread": match_mean_and_std,
    "coarse colours": match_coarse_colours,
}


def match_colours(crops: Tensor, originals: Tensor, how: str) -> Tensor:
    """Crops (N, 3, S', S') with the original's colours by a row of `COLOURS`; the originals (N, 3, S, S) are fitted."""
    if how not in COLOURS:
        raise ValueError(f"{how!r} is no way to match colours. Use one of: {', '.join(COLOURS)}.")
    if not len(crops):
        return crops
    return COLOURS[how](crops, resize(originals, *crops.shape[-2:]))
