"""Memory layout and group normalisation: which of the alternatives a device is fastest with."""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor

from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.normalisation import GroupNorm

from .clock import timed
from .lines import Line
from .resources import FIDELITY


def by_moments(self: GroupNorm, input: Tensor) -> Tensor:
    """Group normalisation that keeps a map's layout: PyTorch's on CUDA copies channels_last maps to NCHW."""
    grouped = input.float().unflatten(1, (self.num_groups, -1))  # (N, G, C / G, H, W)
    variance, mean = torch.var_mean(grouped, (2, 3, 4), correction=0, keepdim=True)
    weight, bias = (part.float().reshape(1, self.num_groups, -1, 1, 1) for part in (self.weight, self.bias))
    scale = weight * (variance + self.eps).rsqrt()
    return torch.addcmul(bias - mean * scale, grouped, scale).flatten(1, 2).to(input.dtype)


#: What the network does is the first of each.
LAYOUTS = {"channels_last": torch.channels_last, "NCHW": torch.contiguous_format}

NORMS = {"PyTorch's norm": GroupNorm.forward, "norm by moments": by_moments}


@contextmanager
def arranged(network: CodeFormer, layout: str, norm: str) -> Iterator[None]:
    """Meanwhile every group normalisation is this one; the network keeps the layout."""
    network.layout = LAYOUTS[layout]
    network.to(memory_format=network.layout)  # pyright: ignore[reportCallIssue] - not in the stubs of nn.Module.to
    before, GroupNorm.forward = GroupNorm.forward, NORMS[norm]
    try:
        yield
    finally:
        GroupNorm.forward = before


def lines(network: CodeFormer, crops: Tensor, precision: str, rounds: int) -> Iterator[Line]:
    """Faces per second of each alternative."""
    for layout in LAYOUTS:
        for norm in NORMS:
            with arranged(network, layout, norm):
                _, *times = (timed(lambda: network.restore(crops, FIDELITY), crops.device) for _ in range(1 + rounds))
            what = f"{layout}, {norm}, {precision}, batch {len(crops)}"
            yield Line("layouts", what, len(crops) / median(times), "faces/s")
