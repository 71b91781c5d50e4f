"""Metrics of single images and of sets: torchmetrics, lpips and torch-fidelity compute them.

Weights come from files, never from the network: these packages download what they miss without asking, so they are built
without weights, and given a file's.
"""

import importlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import checkpoints
from ..networks import misfit
from .niqe import NIQE

#: Metric -> whether higher is better, in the order of the tables.
HIGHER_IS_BETTER = {
    "PSNR": True,
    "SSIM": True,
    "MS-SSIM": True,
    "LPIPS": False,
    "LPIPS-VGG": False,
    "NIQE": False,
    "identity": True,
    "landmarks": False,
    "FID": False,
}

#: Images with their truth, (1, 3, H, W) each in [0, 1] -> metric -> value; NaN where there is none.
Score = Callable[[Tensor, Tensor], Mapping[str, float]]

#: The name of a file -> where it is; None where it is not here.
Find = Callable[[str], Path | None]


class Weights(NamedTuple):
    """A file that a metric needs."""

    file: str
    url: str
    about: str  # size and licence


WEIGHTS = {
    "LPIPS": Weights(
        "alexnet-owt-7be5be79.pth",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "233 MB, BSD-3-Clause",
    ),
    "LPIPS-VGG": Weights(
        "vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth", "528 MB, BSD-3-Clause"
    ),
    "NIQE": Weights(
        "niqe_pris_params.npz",
        "https://github.com/XPixelGroup/BasicSR/raw/master/basicsr/metrics/niqe_pris_params.npz",
        "12 kB, Apache-2.0",
    ),
    "FID": Weights(
        "weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "91 MB, Apache-2.0",
    ),
}


#: Metric -> why it has no value for any image.
WITHOUT_VALUE = {
    "MS-SSIM": "needs images of 176 pixels or more",
    "NIQE": "needs images with two squares of 96 pixels",
    "landmarks": "found no face in the images and their truth",
    "identity": "found no face in the images and their truth",
    "FID": "needs two images or more",
}


class Unavailable(Exception):
    """Why a metric cannot be computed, and what to do, in a sentence."""


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, at most 100, of images (N, 3, H, W) in [0, 1]: (N,)."""
    measure = _package("torchmetrics.functional.image").peak_signal_noise_ratio
    return measure(images, truth, data_range=1.0, reduction="none", dim=(1, 2, 3)).clamp(max=100)


def ssim(images: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity (Wang et al., 2004), mean over the channels, of images (N, C, H, W) in [0, 1]: (N,)."""
    measure = _package("torchmetrics.functional.image").structural_similarity_index_measure
    return measure(images, truth, data_range=1.0, reduction="none").view(-1)


def ms_ssim(images: Tensor, truth: Tensor) -> Tensor:
    """SSIM over five scales (Wang et al., 2003): (N,); NaN for images below 176 pixels, which have no five."""
    if min(images.shape[-2:]) < 176:
        return images.new_full((len(images),), torch.nan)
    measure = _package("torchmetrics.functional.image").multiscale_structural_similarity_index_measure
    return measure(images, truth, data_range=1.0, reduction="none").view(-1)


def scores(find: Find, device: torch.device, with_truth: bool) -> tuple[dict[str, Score], dict[str, str]]:
    """The metrics of single images that can be computed, and the others with what each of them lacks.

    Args:
        find: where a file of weights is.
        with_truth: whether there are true images; NIQE needs none.
    """
    build: dict[str, Callable[[], Callable[[Tensor, Tensor], Any]]] = {
        "PSNR": lambda: _checked(psnr),
        "SSIM": lambda: _checked(ssim),
        "MS-SSIM": lambda: _checked(ms_ssim),
        "LPIPS": lambda: lpips("alex", weights("LPIPS", find), device),
        "LPIPS-VGG": lambda: lpips("vgg", weights("LPIPS-VGG", find), device),
        "NIQE": lambda: _without_truth(NIQE(weights("NIQE", find))),
    }
    found: dict[str, Score] = {}
    missing: dict[str, str] = {}
    for name, make in build.items():
        if with_truth or name == "NIQE":
            try:
                found[name] = _named(name, make())
            except Unavailable as error:
                missing[name] = str(error)
    return found, missing


def weights(metric: str, find: Find) -> Path:
    """The file that a metric needs.

    Raises:
        Unavailable: it is not here.
    """
    needed = WEIGHTS[metric]
    if path := find(needed.file):
        return path
    raise Unavailable(f"needs {needed.file} ({needed.about}), from {needed.url}")


def lpips(net: str, file: Path, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """LPIPS (Zhang et al., 2018), version 0.1, with torchvision's weights for AlexNet ("alex") or VGG16 ("vgg")."""
    package = _package("lpips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's, about how lpips asks for no weights
        network = package.LPIPS(net=net, pnet_rand=True, verbose=False)
    state = {key.removeprefix("features."): value for key, value in checkpoints.read(file).items() if "features." in key}
    ours = network.net.state_dict()  # "slice1.0.weight": the names of torchvision's layers, in slices
    if problem := misfit({key.partition(".")[2]: value for key, value in ours.items()}, state):
        raise ValueError(f"{file} is not torchvision's {WEIGHTS['LPIPS' if net == 'alex' else 'LPIPS-VGG'].file}: {problem}.")
    network.net.load_state_dict({key: state[key.partition(".")[2]] for key in ours})
    network.to(device)
    return lambda images, truth: network(images, truth, normalize=True).view(-1)


class Inception:
    """The features that the Fréchet inception distance compares: the last pooling of Inception v3, as TensorFlow has it."""

    def __init__(self, file: Path, device: torch.device) -> None:
        module = _package("torch_fidelity.feature_extractor_inceptionv3")
        with TemporaryDirectory() as folder:  # torch-fidelity would load any pickle: it gets tensors that were read safely
            copy = Path(folder) / file.name
            torch.save(dict(checkpoints.read(file)), copy)
            try:
                self.network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(copy)).to(device)
            except RuntimeError as error:
                raise ValueError(f"{file} is not {WEIGHTS['FID'].file}: {str(error).splitlines()[0]}") from error

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [0, 1] -> (N, 2048)."""
        return self.network((images * 255).round().byte())[0].flatten(1).cpu()


def frechet(points: Tensor, truth: Tensor) -> float:
    """Fréchet distance of Gaussians fitted to two sets of points (N, D) and (M, D); of Inception's features it is the FID
    (Heusel et al., 2017). NaN where a set has fewer than two points.

    It compares distributions, not pairs: a blurred face is close to its own original and unlike any clear face.
    """
    if min(len(points), len(truth)) < 2:
        return float("nan")
    spreads = [one.double().T.cov() for one in (points, truth)]
    values, vectors = torch.linalg.eigh(spreads[0])
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    joint = torch.linalg.eigvalsh(root @ spreads[1] @ root).clamp(min=0).sqrt().sum()
    apart = (points.double().mean(dim=0) - truth.double().mean(dim=0)).square().sum()
    return float(apart + spreads[0].trace() + spreads[1].trace() - 2 * joint)


def _named(name: str, measure: Callable[[Tensor, Tensor], Any]) -> Score:
    return lambda images, truth: {name: float(measure(images, truth))}


def _without_truth(measure: Callable[[Tensor], float]) -> Callable[[Tensor, Tensor], float]:
    return lambda images, _: measure(images)


def _checked(measure: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    _package("torchmetrics.functional.image")
    return measure


def _package(name: str) -> Any:
    """A module of the extra [evaluate]."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(f"needs {name.split('.')[0]}: pip install 'codeformer-suite[evaluate]'") from error
