"""Where the test data lies (tests/data/README.md), and the tests' own small networks."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from codeformer_core import checkpoints

ROOT = Path(__file__).resolve().parent.parent

#: Looked for in this order when CHROMIUM names none.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def data() -> Path:
    """The committed golden outputs, photographs, recorded faces and clips."""
    return ROOT / "tests" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside a developer's checkout with what cannot be committed: third-party weights and non-free images."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs ../shared (third-party weights and non-free images), which is not part of the project")
    return folder


@pytest.fixture(scope="session")
def videos(data: Path) -> Path:
    """The folder of real clips where a developer has them, else of the clips that stand in for them under the same names."""
    real = ROOT.parent / "shared" / "data" / "video"
    return real if real.is_dir() else data / "video"


def codeformer_file(folder: Path, **architecture: Any) -> Path:
    """A file with the released layout and random weights, in an `Architecture`."""
    import torch

    from codeformer_core.networks.codeformer import CodeFormer
    from codeformer_core.networks.transformer import join_attention
    from codeformer_core.networks.vqgan import Architecture

    torch.manual_seed(0)
    state = join_attention(CodeFormer(Architecture(**architecture)).state_dict())
    path = folder / "codeformer.pth"
    torch.save({"params_ema": state}, path)
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the released layout and random weights: crop side 64, restoration, well under a second a face."""
    return codeformer_file(
        tmp_path_factory.mktemp("weights"),
        channels=(32, 32, 64),
        res_blocks=2,
        attention=(2,),
        codebook_size=64,
        code_dim=32,
        code_side=16,
        embed_dim=64,
        layers=2,
        fuse_sides=(32,),
    )


@pytest.fixture(scope="session")
def smallest_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with crop side 32, several times as fast: where only counts when the network is called."""
    return codeformer_file(
        tmp_path_factory.mktemp("weights"),
        channels=(32, 32, 32),
        res_blocks=1,
        attention=(),
        codebook_size=64,
        code_dim=32,
        code_side=8,
        embed_dim=64,
        layers=1,
        fuse_sides=(16,),
    )


@pytest.fixture(scope="session")
def restoreformer_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of RestoreFormer's layout with random weights, for crops of 512 pixels."""
    import torch

    parts = pytest.importorskip("spandrel.architectures.RestoreFormer", reason="needs the package spandrel")
    torch.manual_seed(0)
    sizes = {"n_embed": 16, "embed_dim": 32, "ch": 32, "ch_mult": (1,) * 6, "z_channels": 32, "num_res_blocks": 1}
    path = tmp_path_factory.mktemp("weights") / "RestoreFormer.pth"
    torch.save({"params": parts.RestoreFormer(**sizes).state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def lama_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of LaMa's layout with random weights, and with a critic's beside them, as in its training files."""
    import torch
    from safetensors.torch import save_file

    parts = pytest.importorskip("spandrel.architectures.LaMa", reason="needs the package spandrel")
    torch.manual_seed(0)
    state = {f"generator.{key.removeprefix('model.')}": value.half() for key, value in parts.LaMa(in_nc=4).state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "big-lama.safetensors"
    save_file({**state, "discriminator.model0.0.weight": torch.zeros(3)}, path)
    return path


@pytest.fixture(scope="session")
def ddcolor_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of the layout of DDColor's smallest network, which gives every photo one hue: a of 24, b of 16."""
    import torch

    pytest.importorskip("spandrel_extra_arches", reason="needs the package spandrel_extra_arches")
    from spandrel_extra_arches.architectures.DDColor import DDColor

    network = DDColor(encoder_name="convnext-t", num_output_channels=2, last_norm="Spectral", num_queries=100)
    state = {key: torch.zeros(()).expand(value.shape) for key, value in network.state_dict().items()}
    for key, value in state.items():
        if key.endswith(("weight_orig", "weight_u", "weight_v", "std", "running_var")):
            state[key] = torch.full((), value.numel() ** -0.5 if key.endswith(("_u", "_v")) else 1.0).expand(value.shape)
    state["refine_net.0.0.weight_orig"] = torch.full((), 1e-9).expand(state["refine_net.0.0.weight_orig"].shape)
    state["refine_net.0.0.bias"] = torch.tensor([24.0, 16.0])
    path = tmp_path_factory.mktemp("weights") / "ddcolor_paper_tiny.pth"
    torch.save({"params": state}, path)
    return path


@pytest.fixture(scope="session")
def gfpgan_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published layout in its one size; the numbers are the same throughout a tensor, so that the file is small."""
    import torch

    parts = pytest.importorskip("spandrel.architectures.GFPGAN", reason="needs the package spandrel")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in parts.GFPGAN().state_dict().items()}
    state = {name: torch.zeros(()).half().expand(shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if ".to_rgb" in name and shape.numel() == 3:
            state[name] = torch.tensor([-0.06, 0.0, 0.03]).half().reshape(shape)  # eight of them add up
        elif ".to_rgb" in name:
            state[name] = torch.full((), 1.0 if name.endswith("bias") else 5e-4).half().expand(shape)
        elif ".style_conv" in name and shape.numel() == 1:
            state[name] = torch.full(shape, 0.5).half()  # how strong the noise is
    path = tmp_path_factory.mktemp("weights") / "GFPGANv1.4.pth"
    torch.save({"params_ema": state}, path)
    return path


@pytest.fixture(scope="session")
def filled(data: Path):
    """variant -> the released layout, full size, filled with the deterministic weights of tests/data/parity."""
    import importlib.util
    import json
    from functools import cache

    import torch

    spec = importlib.util.spec_from_file_location("fill_weights", data / "parity" / "fill_weights.py")
    filler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filler)

    @cache
    def state(variant: str) -> dict[str, torch.Tensor]:
        keys = json.loads((data / "parity" / f"keys_{variant}.json").read_text())["keys"]
        return {name: torch.from_numpy(filler.fill_array(name, tuple(shape))) for name, shape, _ in keys}

    state.make_input = filler.make_input
    return state


@pytest.fixture(scope="session")
def mobilenet(shared: Path):
    """The official RetinaFace MobileNet0.25."""
    return checkpoints.load(shared / "data" / "detectors" / "detection_mobilenet0.25_Final.pth")


@pytest.fixture
def known_faces():
    """A detector without weights that finds the faces of the committed photographs."""
    from known_faces import KnownFaces

    return KnownFaces()


@pytest.fixture(scope="session")
def photo(data: Path, request: pytest.FixtureRequest):
    """path under tests/data, else under ../shared/data -> (1, 3, H, W) RGB in [0, 1]."""
    import numpy as np
    import torch
    from PIL import Image

    def read(name: str) -> torch.Tensor:
        path = data / name
        if not path.exists():
            path = request.getfixturevalue("shared") / "data" / name
        pixels = np.array(Image.open(path).convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255

    return read


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program."""
    named = os.environ.get("CHROMIUM")
    path = shutil.which(named) if named else next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs Chromium: install it (Debian: apt-get install chromium), or name one in CHROMIUM")
    return path
