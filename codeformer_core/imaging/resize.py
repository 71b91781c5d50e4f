"""Change the size of images, crops and masks."""

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor


def resize(images: Tensor, height: int, width: int | None = None) -> Tensor:
    """Images, crops or masks (B, C, h, w) at another size, bilinear, antialiased when they shrink.

    Args:
        width: the height again where it is left out, for square crops.

    Returns:
        (B, C, height, width); `images` itself when it has that size.
    """
    width = height if width is None else width
    if tuple(images.shape[-2:]) == (height, width):
        return images
    # In float32, the only dtype that the CPU antialiases.
    return F.interpolate(images.float(), size=(height, width), mode="bilinear", antialias=True).to(images.dtype)


def same_proportions(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether two sizes, both (W, H), have the same aspect ratio; a side of the smaller one may be rounded by a pixel."""
    return abs(first[0] * second[1] - first[1] * second[0]) <= max(*first, *second)


def fit_over(masks: Tensor, height: int, width: int) -> bool:
    """Whether masks (B, C, h, w) have the aspect ratio of images of a size; each that is alike all over fits any."""
    high, wide = masks.shape[-2:]
    return same_proportions((wide, high), (width, height)) or not bool((masks != masks[..., :1, :1]).any())


def thumbnail_size(height: int, width: int, largest: int) -> tuple[int, int]:
    """(height, width) shrunk to a longer side of at most `largest` pixels; never enlarged."""
    share = min(1.0, largest / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share))


def scaled_size(images: Tensor, upscale: float) -> tuple[int, int]:
    """Height and width of images (B, C, H, W) `upscale` times as large, rounded down, at least 1."""
    if upscale <= 0:
        raise ValueError(f"Found an upscale of {upscale}. Expected a number above 0: 1 keeps the size, 2 doubles it.")
    return max(1, int(images.shape[-2] * upscale)), max(1, int(images.shape[-1] * upscale))


def area_average(images: Tensor, factor: int) -> Tensor:
    """Images (B, C, H, W) shrunk by a whole number, each pixel the mean of factor x factor; partial cells repeat the border.

    On the CPU this is OpenCV, a hundred times as fast there as torch's avg_pool2d.

    Returns:
        (B, C, ceil(H / factor), ceil(W / factor)).
    """
    height, width = images.shape[-2:]
    bottom, right = -height % factor, -width % factor
    if images.device.type != "cpu":
        return F.avg_pool2d(F.pad(images, (0, right, 0, bottom), mode="replicate"), factor)
    result = torch.empty(*images.shape[:2], (height + bottom) // factor, (width + right) // factor)
    for planes, outs in zip(images.float().numpy(), result.numpy(), strict=True):
        for plane, out in zip(planes, outs, strict=True):
            whole = cv2.copyMakeBorder(plane, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
            cv2.resize(whole, out.shape[::-1], out, interpolation=cv2.INTER_AREA)
    return result.to(images.dtype)


def rescale(images: Tensor, upscale: float, sampling: str = "exact") -> Tensor:
    """Images (B, 3, H, W) in [0, 1] resized to their `scaled_size`; the same ones at 1.

    Args:
        sampling: "exact" is bicubic, antialiased when it shrinks; "reference" is bilinear when it enlarges. Enlarging 17 photos
            that were shrunk to a half, bilinear gives 30.2 dB, bicubic 31.4, OpenCV's LANCZOS4 31.5, which only the CPU has.
    """
    size = scaled_size(images, upscale)
    if size == tuple(images.shape[-2:]):
        return images
    if sampling == "reference":
        return resize(images, *size) if upscale < 1 else F.interpolate(images, size=size, mode="bilinear")
    resized = F.interpolate(images.float(), size=size, mode="bicubic", antialias=upscale < 1)
    return resized.clamp_(0, 1).to(images.dtype)  # bicubic overshoots beside edges
