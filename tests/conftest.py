"""Where the test data is, and the tests' own tiny faces."""

from pathlib import Path

import pytest

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

    from codeformer_core.networks.codeformer import CodeFormer, join_attention
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
