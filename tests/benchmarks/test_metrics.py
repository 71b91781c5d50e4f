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
