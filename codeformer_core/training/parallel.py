"""One of several processes that train together, as torchrun starts them; or the only one."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Process:
    """This process.

    Attributes:
        rank: its number.
        world: how many there are.
        device: what it computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this one writes files and speaks."""
        return self.rank == 0

    def sum(self, value: Tensor) -> None:
        """The sum over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(value)

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        if self.world == 1:
            return here
        there = torch.tensor(float(here), device=self.device)
        dist.all_reduce(there)
        return there.item() > 0

    def share(self, value: Tensor) -> None:
        """The first process's value, in place."""
        if self.world > 1:
            dist.broadcast(value, 0)

    def average(self, gradients: Iterable[Tensor]) -> None:
        """The mean over all processes, in place and in one message."""
        if self.world == 1:
            return
        parts = list(gradients)
        joined = torch.cat([part.flatten() for part in parts])
        dist.all_reduce(joined)
        for part, mean in zip(parts, (joined / self.world).split([part.numel() for part in parts]), strict=True):
            part.copy_(mean.view_as(part))


def join() -> Process:
    """Find the other processes; without torchrun there are none. NCCL between GPUs, gloo between processors."""
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return Process(0, 1, device)
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    return Process(dist.get_rank(), dist.get_world_size(), device)


def leave(process: Process) -> None:
    """The end of working together."""
    if process.world > 1:
        dist.destroy_process_group()
