"""Fusion: how features of the degraded face reach the generator, as much as the fidelity asks for."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .vqgan import ResBlock

#: What scales the residual of the feature transformation: a number, one value per face (N,), or a map (N, 1, h, w).
Fidelity = float | Tensor


def adain(content: Tensor, style: Tensor, eps: float = 1e-5) -> Tensor:
    """`content` (N, C, H, W) with the mean and standard deviation that each channel of `style` has over its cells.

    The variance is the unbiased one and eps is added to it, as in the reference (codeformer_arch.py).
    """
    content_std = (content.var(dim=(2, 3), keepdim=True) + eps).sqrt()
    style_std = (style.var(dim=(2, 3), keepdim=True) + eps).sqrt()
    centred = (content - content.mean(dim=(2, 3), keepdim=True)) / content_std
    return centred * style_std + style.mean(dim=(2, 3), keepdim=True)


class ControllableFeatureTransform(nn.Module):
    """Scales and shifts a generator feature by what the encoder saw at the same side: (N, C, s, s) -> (N, C, s, s)."""

    def __init__(self, channels: int, operations: Any = nn) -> None:
        super().__init__()
        self.encode_enc = ResBlock(2 * channels, channels, operations)
        self.scale, self.shift = (
            nn.Sequential(
                operations.Conv2d(channels, channels, 3, padding=1),
                nn.LeakyReLU(0.2, inplace=True),
                operations.Conv2d(channels, channels, 3, padding=1),
            )
            for _ in range(2)
        )

    def forward(self, encoded: Tensor, generated: Tensor, weight: float | Tensor) -> Tensor:
        """The fusion, with a weight that can be multiplied with these maps: `over_map`."""
        joint = self.encode_enc(torch.cat([encoded, generated], dim=1))
        residual = self.shift(joint).addcmul_(generated, self.scale(joint))
        return residual.mul_(weight).add_(generated)


def over_map(fidelity: Fidelity, feature: Tensor) -> float | Tensor:
    """The fidelity as what multiplies `feature` (N, C, h, w)."""
    if not isinstance(fidelity, Tensor):
        return fidelity
    if fidelity.ndim == 4:
        w = fidelity.to(feature.device, torch.float32)
        return F.interpolate(w, size=feature.shape[-2:], mode="bilinear", antialias=True).to(feature)
    return fidelity.reshape(-1, 1, 1, 1).to(feature)


def check_fidelity(fidelity: Fidelity, faces: int) -> None:
    """A ValueError when a fidelity is neither a number nor one value or map for each of so many faces."""
    if not isinstance(fidelity, Tensor) or fidelity.ndim == 0:
        return
    shape = tuple(fidelity.shape)
    if not (shape in ((1,), (faces,)) or (len(shape) == 4 and shape[0] in (1, faces) and shape[1] == 1)):
        raise ValueError(
            f"Found a fidelity of shape {shape} for {faces} faces. Give a number, one value per face ({faces},), "
            f"or a map ({faces}, 1, height, width)."
        )
