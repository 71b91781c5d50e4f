"""The run that trains a starter of 256 pixels: its settings, and the size of its file."""

import pytest
import torch

from benchmarks import starter
from codeformer_core import checkpoints
from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.transformer import join_attention


@pytest.mark.parametrize("stage", starter.SHARES)
def test_a_stage_follows_the_one_before_and_saves_every_minute(tmp_path, stage):
    args = starter.parser().parse_args([str(tmp_path / "faces"), str(tmp_path / "out"), "--set", "batch=2"])
    config = starter.configured(args, stage, 1000, speed=2.5)
    assert (config.optimiser.steps, config.optimiser.batch, config.every.checkpoint) == (1000, 2, 150)
    assert config.out == tmp_path / "out" / f"starter-256-{stage}" and config.network.side == 256
    assert config.start == (tmp_path / "out" / f"starter-256-{stage - 1}" / "network.pth" if stage > 1 else None)
    assert config.losses.adversarial_from == {1: 550, 2: 0, 3: 200}[stage] and config.codebook.continuous <= 200


def test_the_file_is_small_enough_and_loads(tmp_path):
    args = starter.parser().parse_args(["faces", "out"])
    torch.manual_seed(0)
    network = CodeFormer(starter.configured(args, 3, 1000).network)
    torch.save({"params_ema": join_attention(network.state_dict())}, tmp_path / "network.pth")
    starter.export(tmp_path / "network.pth", tmp_path / "starter.safetensors")
    assert (tmp_path / "starter.safetensors").stat().st_size <= starter.LARGEST
    loaded = checkpoints.load(tmp_path / "starter.safetensors")
    assert (loaded.role, loaded.task, loaded.side) == ("restorer", "restoration", 256)
