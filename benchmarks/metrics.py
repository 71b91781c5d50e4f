"""Image-quality metrics: PSNR and SSIM by torchmetrics, crispness and the Fréchet distance."""

from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from codeformer_core.training.degrade import LUMA


def psnr(images: Tensor, clear: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, at most 100, of images (N, 3, S, S) in [0, 1]: (N,)."""
    ratio = _torchmetrics().peak_signal_noise_ratio(images, clear, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return ratio.clamp(max=100)


def ssim(images: Tensor, clear: Tensor) -> Tensor:
    """Structural similarity of the luma (Wang et al., 2004) of images (N, 3, S, S) in [0, 1]: (N,)."""
    measure = _torchmetrics().structural_similarity_index_measure
    return measure(_luma(images), _luma(clear), data_range=1.0, reduction="none").view(-1)


def _torchmetrics() -> ModuleType:
    try:
        import torchmetrics.functional.image as functional
    except ImportError as error:
        raise ImportError("PSNR and SSIM need torchmetrics: pip install 'codeformer-suite[train]'.") from error
    return functional


def crispness(images: Tensor, clear: Tensor) -> Tensor:
    """Mean absolute luma gradient of images (N, 3, S, S), divided by that of the clear ones: (N,); 1 is as crisp."""
    return _gradient(images) / _gradient(clear)


def frechet(images: Tensor, clear: Tensor) -> float:
    """Fréchet distance of Gaussians fitted to two sets of points (N, D) and (M, D), the formula of FID (Heusel et al., 2017).

    It compares distributions, not pairs: a blurred face is close to its own original and unlike any clear face.
    """
    spreads = [points.double().T.cov() for points in (images, clear)]
    values, vectors = torch.linalg.eigh(spreads[0])
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    joint = torch.linalg.eigvalsh(root @ spreads[1] @ root).clamp(min=0).sqrt().sum()
    apart = (images.double().mean(dim=0) - clear.double().mean(dim=0)).square().sum()
    return float(apart + spreads[0].trace() + spreads[1].trace() - 2 * joint)


def patches(images: Tensor, side: int = 8) -> Tensor:
    """Luma of images (N, 3, S, S) in non-overlapping squares: (N, T, side * side)."""
    return F.unfold(_luma(images), side, stride=side).transpose(1, 2)


def _luma(images: Tensor) -> Tensor:
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _gradient(images: Tensor) -> Tensor:
    luma = _luma(images)
    return luma.diff(dim=2).abs().mean(dim=(1, 2, 3)) + luma.diff(dim=3).abs().mean(dim=(1, 2, 3))
