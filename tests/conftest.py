"""Where the test data is, and the tests' own tiny faces."""

from pathlib import Path

import pytest

from codeformer_core import checkpoints

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden outputs and test pictures that lies beside a developer's checkout."""
    folder = ROOT.parent / "shared"
    if not (folder / "parity").is_dir():
        pytest.skip("needs ../shared (golden outputs and test pictures), which is not part of the project")
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the released layout and random weights: crop side 64, restoration, well under a second a face."""
    import torch

    from codeformer_core.networks.codeformer import CodeFormer
    from codeformer_core.networks.transformer import join_attention
    from codeformer_core.networks.vqgan import Architecture

    torch.manual_seed(0)
    architecture = Architecture(
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
    state = join_attention(CodeFormer(architecture).state_dict())
    path = tmp_path_factory.mktemp("weights") / "codeformer.pth"
    torch.save({"params_ema": state}, path)
    return path


@pytest.fixture(scope="session")
def filled(shared: Path):
    """variant -> the released layout, full size, filled with the deterministic weights of ../shared/parity."""
    import importlib.util
    import json
    from functools import cache

    import torch

    spec = importlib.util.spec_from_file_location("fill_weights", shared / "parity" / "fill_weights.py")
    filler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(filler)

    @cache
    def state(variant: str) -> dict[str, torch.Tensor]:
        keys = json.loads((shared / "parity" / f"keys_{variant}.json").read_text())["keys"]
        return {name: torch.from_numpy(filler.fill_array(name, tuple(shape))) for name, shape, _ in keys}

    state.make_input = filler.make_input
    return state


@pytest.fixture(scope="session")
def mobilenet(shared: Path):
    """The official RetinaFace MobileNet0.25."""

    return checkpoints.load(shared / "data" / "detectors" / "detection_mobilenet0.25_Final.pth")


@pytest.fixture(scope="session")
def photo(shared: Path):
    """path under ../shared/data -> (1, 3, H, W) RGB in [0, 1]."""
    import numpy as np
    import torch
    from PIL import Image

    def read(name: str) -> torch.Tensor:
        pixels = np.array(Image.open(shared / "data" / name).convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255

    return read
