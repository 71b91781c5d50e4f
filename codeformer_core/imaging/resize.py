"""Change the size of images, crops and masks."""

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


def scaled_size(images: Tensor, upscale: float) -> tuple[int, int]:
    """Height and width of images (B, C, H, W) `upscale` times as large, rounded down, at least 1."""
    if upscale <= 0:
        raise ValueError(f"Found an upscale of {upscale}. Expected a number above 0: 1 keeps the size, 2 doubles it.")
    return max(1, int(images.shape[-2] * upscale)), max(1, int(images.shape[-1] * upscale))


def rescale(images: Tensor, upscale: float) -> Tensor:
    """Images (B, C, H, W) resized bilinearly to their `scaled_size`; the same ones at 1."""
    size = scaled_size(images, upscale)
    if upscale < 1 or size == tuple(images.shape[-2:]):
        return resize(images, *size)
    return F.interpolate(images, size=size, mode="bilinear")
