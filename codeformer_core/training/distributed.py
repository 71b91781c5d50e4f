"""Distributed data parallel: one process a device, as torchrun starts them; without torchrun, a single process.

Gradients are all-reduced here: `DistributedDataParallel` sees calls of `forward` only, and training calls parts of the network.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Process:
    """One process of a run.

    Attributes:
        rank: from 0 on.
        world: how many there are.
        device: what it computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether it writes files and shows progress."""
        return self.rank == 0

    def sum(self, value: Tensor) -> None:
        """The sum over all processes, in place."""
        if self.world > 1:
            dist.all_reduce(value)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.world == 1:
            return flag
        total = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(total)
        return total.item() > 0

    def broadcast(self, value: Tensor) -> None:
        """The first process's value, in place."""
        if self.world > 1:
            dist.broadcast(value, 0)

    def average_gradients(self, gradients: Iterable[Tensor]) -> None:
        """The mean over all processes, in place, in one all-reduce."""
        if self.world == 1:
            return
        tensors = list(gradients)
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, mean in zip(tensors, (flat / self.world).split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))


def start() -> Process:
    """Join the process group that torchrun describes, if any: NCCL between GPUs, gloo between CPUs."""
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return Process(0, 1, device)
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    return Process(dist.get_rank(), dist.get_world_size(), device)


def stop(process: Process) -> None:
    """Leave the process group."""
    if process.world > 1:
        dist.destroy_process_group()
