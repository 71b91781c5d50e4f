"""Image-quality metrics of images whose values are known."""

import sys

import pytest
import torch

from benchmarks import metrics


def test_metrics_without_torchmetrics_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    with pytest.raises(ImportError, match=r"pip install 'codeformer-suite\[train\]'"):
        metrics.psnr(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


def test_metrics_of_known_images():
    clear = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert metrics.psnr((clear + 0.1), clear).item() == pytest.approx(20, abs=1e-3)
    assert metrics.ssim(clear, clear).item() == pytest.approx(1)
    assert metrics.ssim(1 - clear, clear).item() < 0 < metrics.ssim(clear * 0.9, clear).item()
    assert metrics.crispness(clear * 0.5, clear).item() == pytest.approx(0.5)


def test_the_frechet_distance_of_gaussians():
    points = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    points = (points - points.mean(dim=0)) / points.std(dim=0)
    assert metrics.frechet(points.flip(0), points) == pytest.approx(0, abs=1e-5)
    assert metrics.frechet(points + 2, points) == pytest.approx(3 * 4, abs=1e-4)  # three axes, each moved by 2
    assert metrics.frechet(points * 3, points) == pytest.approx(3 * 4, rel=0.01)  # each axis with a spread of 3 instead of 1
    assert metrics.patches(torch.rand(2, 3, 32, 24)).shape == (2, 12, 64)
