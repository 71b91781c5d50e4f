"""How alike two pictures are, in the numbers that papers give."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .degrade import LUMA


def psnr(drawn: Tensor, clear: Tensor) -> Tensor:
    """Peak signal to noise in dB, of each of the pictures (N, 3, S, S) in [0, 1]: (N,)."""
    return -10 * (drawn - clear).square().mean(dim=(1, 2, 3)).clamp(min=1e-10).log10()


def ssim(drawn: Tensor, clear: Tensor) -> Tensor:
    """Structural similarity of the light (Wang et al., 2004) of each of the pictures (N, 3, S, S) in [0, 1]: (N,)."""
    a, b = _light(drawn), _light(clear)
    mean_a, mean_b = _window(a), _window(b)
    spread_a, spread_b = _window(a * a) - mean_a**2, _window(b * b) - mean_b**2
    joint = _window(a * b) - mean_a * mean_b
    stable, steady = 0.01**2, 0.03**2
    above = (2 * mean_a * mean_b + stable) * (2 * joint + steady)
    return (above / ((mean_a**2 + mean_b**2 + stable) * (spread_a + spread_b + steady))).mean(dim=(1, 2, 3))


def crispness(drawn: Tensor, clear: Tensor) -> Tensor:
    """The gradients of each of the pictures (N, 3, S, S) as a share of the clear one's: (N,); 1 is as crisp."""
    return _gradient(drawn) / _gradient(clear)


def frechet(drawn: Tensor, clear: Tensor) -> float:
    """How differently two sets of points (N, D) and (M, D) are spread: the Fréchet distance of Gaussians (Heusel et al., 2017).

    Unlike the scores above it compares no picture with its own original: a blurred face is likely, and still like no face.
    """
    spreads = [points.double().T.cov() for points in (drawn, clear)]
    values, vectors = torch.linalg.eigh(spreads[0])
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    joint = torch.linalg.eigvalsh(root @ spreads[1] @ root).clamp(min=0).sqrt().sum()
    apart = (drawn.double().mean(dim=0) - clear.double().mean(dim=0)).square().sum()
    return float(apart + spreads[0].trace() + spreads[1].trace() - 2 * joint)


def patches(pictures: Tensor, side: int = 8) -> Tensor:
    """The light of each of the pictures (N, 3, S, S) in squares, a point each: (N, T, side * side)."""
    return F.unfold(_light(pictures), side, stride=side).transpose(1, 2)


def _light(pictures: Tensor) -> Tensor:
    return (pictures * pictures.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _gradient(pictures: Tensor) -> Tensor:
    light = _light(pictures)
    return light.diff(dim=2).abs().mean(dim=(1, 2, 3)) + light.diff(dim=3).abs().mean(dim=(1, 2, 3))


def _window(x: Tensor) -> Tensor:
    """Means (N, 1, s, s) under a Gaussian of 1.5 pixels in 11 x 11."""
    place = (-(x.new_tensor(range(-5, 6)) ** 2) / (2 * 1.5**2)).exp()
    place = place / place.sum()
    return F.conv2d(F.conv2d(x, place.view(1, 1, 1, -1)), place.view(1, 1, -1, 1))
