"""CIE Lab (D65) of sRGB images: their lightness, their chroma, and images from both whose luminance is exact."""

import torch
from torch import Tensor

from .colour import clamp_to_gamut, mix_channels

#: Linear R, G, B -> X, Y, Z relative to the white point D65 (IEC 61966-2-1); the second row is the relative luminance.
_TO_XYZ = torch.tensor([(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)])
_TO_XYZ = _TO_XYZ / _TO_XYZ.sum(1, keepdim=True)

#: CIE's constants of the cube root and the line near black.
_DELTA = 6 / 29


def relative_luminance(images: Tensor) -> Tensor:
    """Y of images (N, 3, H, W) RGB in [0, 1]: (N, 1, H, W), linear, in [0, 1]."""
    return mix_channels(_linear(images), _TO_XYZ[1:2])


def chroma(images: Tensor) -> Tensor:
    """a and b of images (N, 3, H, W) RGB in [0, 1]: (N, 2, H, W), about -100 to 100."""
    x, y, z = _cube_root(mix_channels(_linear(images), _TO_XYZ)).split(1, dim=1)
    return torch.cat([500 * (x - y), 200 * (y - z)], dim=1)


def from_luminance_and_chroma(luminance: Tensor, ab: Tensor) -> Tensor:
    """Images (N, 3, H, W) RGB in [0, 1] of a relative luminance (N, 1, H, W) and of a and b (N, 2, H, W).

    Colours that sRGB does not have are desaturated, in linear light, so that the luminance stays what it is.
    """
    a, b = ab.split(1, dim=1)
    y = _cube_root(luminance)
    x, z = _cube(y + a / 500), _cube(y - b / 200)
    linear = mix_channels(torch.cat([x, luminance, z], dim=1), torch.linalg.inv(_TO_XYZ))
    return _encoded(clamp_to_gamut(linear, luminance))


def grey(luminance: Tensor) -> Tensor:
    """The grey level (N, 1, H, W) in [0, 1] of a relative luminance (N, 1, H, W)."""
    return _encoded(luminance)


def _linear(images: Tensor) -> Tensor:
    return torch.where(images <= 0.04045, images / 12.92, ((images.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def _encoded(linear: Tensor) -> Tensor:
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


def _cube_root(values: Tensor) -> Tensor:
    root = values.clamp(min=_DELTA**3) ** (1 / 3)
    return torch.where(values > _DELTA**3, root, values / (3 * _DELTA**2) + 4 / 29)


def _cube(values: Tensor) -> Tensor:
    return torch.where(values > _DELTA, values**3, 3 * _DELTA**2 * (values - 4 / 29))
