"""NIQE (Mittal et al., 2013): how far the local statistics of an image are from those of undistorted photos; no truth needed.

No maintained package computes it without replacing OpenCV. With the same file it agrees with BasicSR's code (commit 8d56e3a) to
1e-5 on two photos, and to 0.3 % on one with flat black areas, whose statistics are rounding errors (2026-11-28).
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: Side of the blocks whose statistics are compared, at full size; half of it at half size.
BLOCK = 96

#: Neighbours whose products are described: the offsets (rows, columns) of each pixel's partner.
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


class NIQE:
    """The distance to the model of undistorted photos in a file.

    Args:
        file: `niqe_pris_params.npz`, with the model's mean (1, 36), covariance (36, 36) and window (7, 7).

    Raises:
        ValueError: it is another file.
    """

    def __init__(self, file: Path) -> None:
        try:
            with np.load(file, allow_pickle=False) as content:
                self.mean, self.covariance, self.window = (
                    torch.from_numpy(content[name].astype(np.float64))
                    for name in ("mu_pris_param", "cov_pris_param", "gaussian_window")
                )
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise ValueError(f"{file} is not niqe_pris_params.npz: {error}.") from error

    def __call__(self, image: Tensor) -> float:
        """The score of an image (1, 3, H, W) in [0, 1], lower is better; NaN where fewer than two blocks of 96 pixels fit."""
        rows, columns = (side // BLOCK for side in image.shape[-2:])
        if rows * columns < 2:
            return float("nan")
        # the luma of video range, rounded, as the released MATLAB code and BasicSR have it
        luma = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64).view(3, 1, 1)
        grey = ((image[0].cpu().double() * luma).sum(dim=0) + 16).round()[: rows * BLOCK, : columns * BLOCK]
        mirrored = torch.from_numpy(np.pad(grey.numpy(), 8, "symmetric"))[None, None]  # as MATLAB's imresize does
        half = F.interpolate(mirrored, scale_factor=0.5, mode="bicubic", antialias=True)[0, 0, 4:-4, 4:-4]
        features = torch.cat([self._features(grey, BLOCK), self._features(half, BLOCK // 2)], dim=1)  # (blocks, 36)
        whole = features[features.isfinite().all(dim=1)]
        if len(whole) < 2:
            return float("nan")
        apart = self.mean - features.nanmean(dim=0)
        spread = torch.linalg.pinv((self.covariance + whole.T.cov()) / 2)
        return float((apart @ spread @ apart.T).sqrt())

    def _features(self, grey: Tensor, block: int) -> Tensor:
        """The statistics of the blocks of a grey image (H, W): (blocks, 18)."""

        def blurred(x: Tensor) -> Tensor:
            return F.conv2d(F.pad(x[None, None], (3, 3, 3, 3), mode="replicate"), self.window[None, None])[0, 0]

        mean = blurred(grey)
        normalised = (grey - mean) / ((blurred(grey.square()) - mean.square()).abs().sqrt() + 1)
        blocks = normalised.unfold(0, block, block).unfold(1, block, block).flatten(0, 1)  # (blocks, block, block)
        alpha, left, right = _fit(blocks)
        described = [alpha, (left + right) / 2]
        for offset in NEIGHBOURS:
            alpha, left, right = _fit(blocks * blocks.roll(offset, dims=(1, 2)))
            described += [alpha, (right - left) * _gamma(2 / alpha) / _gamma(1 / alpha), left, right]
        return torch.stack(described, dim=1)


def _fit(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape, left and right width (blocks,) of asymmetric generalised Gaussians, by their moments (Lasmar et al., 2009)."""
    x = blocks.flatten(1)
    left, right = (
        (x.square() * side).sum(dim=1).div(side.sum(dim=1)).sqrt() for side in ((x < 0).to(x), (x > 0).to(x))
    )  # (blocks,) each
    ratio = x.abs().mean(dim=1).square() / x.square().mean(dim=1)
    skew = left / right
    target = ratio * (skew**3 + 1) * (skew + 1) / (skew.square() + 1).square()
    shapes = torch.arange(200, 10001, dtype=x.dtype, device=x.device) / 1000
    expected = _gamma(2 / shapes).square() / (_gamma(1 / shapes) * _gamma(3 / shapes))
    alpha = shapes[(expected - target[:, None]).square().argmin(dim=1)]
    width = (_gamma(1 / alpha) / _gamma(3 / alpha)).sqrt()
    return alpha, left * width, right * width


def _gamma(x: Tensor) -> Tensor:
    return torch.lgamma(x).exp()
