"""Metrics of images whose values are known; weights that are not here are named, and never downloaded."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import metrics as of_claims
from codeformer_core.evaluation import metrics
from codeformer_core.evaluation.niqe import NIQE

CPU = torch.device("cpu")


def noise(seed: int = 0, side: int = 32, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whatever would be downloaded is a failure."""

    def refuse(url, *_, **__):
        pytest.fail(f"{url} would have been downloaded")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)


def test_metrics_without_their_package_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)
    with pytest.raises(metrics.Unavailable, match=r"pip install 'codeformer-suite\[evaluate\]'"):
        metrics.psnr(noise(), noise())


def test_metrics_of_known_images():
    clear = noise(side=176)
    assert metrics.psnr(clear + 0.1, clear).item() == pytest.approx(20, abs=1e-3)
    assert metrics.psnr(clear, clear).item() == 100
    assert metrics.ssim(clear, clear).item() == pytest.approx(1)
    assert metrics.ssim(1 - clear, clear).item() < 0 < metrics.ssim(clear * 0.9, clear).item()
    assert metrics.ms_ssim(clear, clear).item() == pytest.approx(1)
    assert metrics.ms_ssim(clear * 0.5, clear).item() < 0.95
    assert metrics.ms_ssim(noise(), noise()).isnan().all()
    assert of_claims.crispness(clear * 0.5, clear).item() == pytest.approx(0.5)
    assert of_claims.ssim(clear, clear).item() == pytest.approx(1)


def test_the_frechet_distance_of_gaussians():
    points = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    points = (points - points.mean(dim=0)) / points.std(dim=0)
    assert metrics.frechet(points.flip(0), points) == pytest.approx(0, abs=1e-5)
    assert metrics.frechet(points + 2, points) == pytest.approx(3 * 4, abs=1e-4)  # three axes, each moved by 2
    assert metrics.frechet(points * 3, points) == pytest.approx(3 * 4, rel=0.01)  # each axis with a spread of 3 instead of 1
    assert np.isnan(metrics.frechet(points[:1], points))
    assert of_claims.patches(torch.rand(2, 3, 32, 24)).shape == (2, 12, 64)


def test_the_frechet_distance_is_that_of_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid", reason="needs pip install 'codeformer-suite[evaluate]'")

    class Flat(torch.nn.Module):
        num_features = 12

        def forward(self, x):
            return x.flatten(1).float()

    sets = [noise(seed, 2, 40) * 255 for seed in (0, 1)]
    metric = fid.FrechetInceptionDistance(Flat(), input_img_size=(3, 2, 2), normalize=False)
    for images, real in zip(sets, (True, False), strict=True):
        metric.update(images.byte(), real=real)
    ours = metrics.frechet(*(images.byte().flatten(1).float() for images in reversed(sets)))
    assert ours == pytest.approx(float(metric.compute()), rel=1e-3)


def test_what_is_missing_is_named_with_its_address_and_the_rest_is_computed():
    found, missing = metrics.scores(lambda file: None, CPU, with_truth=True)
    assert set(found) == {"PSNR", "SSIM", "MS-SSIM"}
    for name, why in missing.items():
        assert why == f"needs {metrics.WEIGHTS[name].file} ({metrics.WEIGHTS[name].about}), from {metrics.WEIGHTS[name].url}"
    assert {*missing, "FID"} == metrics.WEIGHTS.keys()
    assert not metrics.scores(lambda file: None, CPU, with_truth=False)[0]


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")  # about how lpips asks for no weights
def test_lpips_takes_its_backbone_from_a_file(tmp_path):
    lpips, models = (pytest.importorskip(name, reason="needs the extra [evaluate]") for name in ("lpips", "torchvision.models"))
    torch.manual_seed(0)
    features = models.alexnet(weights=None).features
    file = tmp_path / "alexnet.pth"
    torch.save({f"features.{key}": value for key, value in features.state_dict().items()}, file)
    measure = metrics.lpips("alex", file, CPU)
    a, b = noise(0, 64), noise(1, 64)
    assert measure(a, a).item() == 0 < measure(a, b).item()
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)  # the same, put together by hand
    layers = [layer for name, part in theirs.net.named_children() if name.startswith("slice") for layer in part]
    for layer, mine in zip(layers, features, strict=False):
        layer.load_state_dict(mine.state_dict())
    assert measure(a, b).item() == pytest.approx(theirs(a * 2 - 1, b * 2 - 1).item(), rel=1e-5)
    torch.save({"features.0.weight": torch.zeros(1)}, file)
    with pytest.raises(ValueError, match="is not torchvision's alexnet-owt-7be5be79.pth"):
        metrics.lpips("alex", file, CPU)


def test_inception_takes_its_weights_from_a_file(tmp_path, monkeypatch):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="needs the extra [evaluate]")
    file = tmp_path / "weights.pth"
    torch.save({"fc.bias": torch.zeros(1008)}, file)
    with pytest.raises(ValueError, match="is not weights-inception-2015-12-05-6726825d.pth"):
        metrics.Inception(file, CPU)
    with monkeypatch.context() as patch:
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(file))
    torch.save(network.state_dict(), file)
    features = metrics.Inception(file, CPU)(noise(0, 64, 2))
    assert features.shape == (2, 2048) and features.isfinite().all() and not torch.equal(features[0], features[1])


@pytest.fixture
def niqe_model(tmp_path) -> Path:
    """A file of NIQE's with numbers drawn at random."""
    draw = np.random.default_rng(0)
    spread, mean = draw.normal(0, 0.1, (36, 36)), draw.uniform(0.2, 1.2, (1, 36))
    line = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window = np.outer(line, line) / line.sum() ** 2
    file = tmp_path / "niqe_pris_params.npz"
    np.savez(file, mu_pris_param=mean, cov_pris_param=spread @ spread.T + 0.05 * np.eye(36), gaussian_window=window)
    return file


def test_niqe_is_that_of_basicsr(niqe_model, data):
    pixels = np.asarray(Image.open(data / "photos" / "nasa_sts114_crew_7faces.jpg").convert("RGB"))[:300, :400]
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
    assert NIQE(niqe_model)(image) == pytest.approx(13.6095, abs=1e-3)  # basicsr/metrics/niqe.py at 8d56e3a, with this model
    assert np.isnan(NIQE(niqe_model)(image[..., :100, :100]))
    assert np.isnan(NIQE(niqe_model)(torch.zeros(1, 3, 100, 200)))  # no statistics of a flat image


def test_another_file_is_no_niqe_model(tmp_path):
    file = tmp_path / "niqe_pris_params.npz"
    for content in (b"", b"no archive"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"is not niqe_pris_params\.npz"):
            NIQE(file)
    np.savez(file, other=np.zeros(3))
    with pytest.raises(ValueError, match=r"is not niqe_pris_params\.npz"):
        NIQE(file)
