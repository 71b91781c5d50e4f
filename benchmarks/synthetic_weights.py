"""Weight files in the layouts of the released ones, with seeded random values."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.parsers import ParseNet
from codeformer_core.networks.retinaface import RetinaFace
from codeformer_core.networks.transformer import join_attention
from codeformer_core.networks.vqgan import Architecture

#: The released network, and a tiny one that tests the benchmark itself. So does a detector of MobileNet's size.
RELEASED = Architecture((64, 128, 128, 256, 256, 512), 2, (5,), 1024, 256, 16, 512, 9, (32, 64, 128, 256))

TINY = Architecture((32, 32, 64), 2, (2,), 64, 32, 16, 64, 2, (32,))

#: The official files' names.
RESTORER, DETECTOR, PARSER = "codeformer.pth", "detection_Resnet50_Final.pth", "parsing_parsenet.pth"


def file(folder: Path, name: str, tiny: bool = False) -> Path:
    """A file with the name and layout of the official one; written at the first call."""
    path = folder / name
    if not path.exists():
        state = _filled(layout(name, tiny))
        torch.save({"params_ema": state} if name == RESTORER else state, path)
    return path


def layout(name: str, tiny: bool = False) -> Mapping[str, Tensor]:
    """Names and shapes of the official file's tensors."""
    with torch.device("meta"):
        if name == RESTORER:
            return join_attention(CodeFormer(TINY if tiny else RELEASED).state_dict())
        if name == DETECTOR:
            return RetinaFace(resnet=not tiny).state_dict()
        return ParseNet().network.state_dict()


def _filled(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values that keep activations at unit scale (fan-in initialisation), since denormal numbers are slow to compute with."""
    generator = torch.Generator().manual_seed(0)
    filled = {}
    for name, value in state.items():
        if name.startswith("ClassHead"):  # a score of 0.5, below the default confidence: nothing is detected
            filled[name] = torch.zeros(value.shape)
        elif value.ndim > 1:
            fan_in = math.prod(value.shape[1:])
            filled[name] = torch.randn(value.shape, generator=generator) / math.sqrt(fan_in)
        elif not value.is_floating_point():  # num_batches_tracked
            filled[name] = torch.zeros(value.shape, dtype=value.dtype)
        else:
            filled[name] = torch.full(value.shape, float(name.endswith(("weight", "running_var"))))
    return filled
