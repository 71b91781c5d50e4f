"""Distributed data parallel: one process a device, as torchrun starts them; without torchrun, a single process.

Gradients are all-reduced here: `DistributedDataParallel` sees calls of `forward` only, and training calls parts of the network.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters


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
        count = torch.tensor(float(flag), device=self.device)
        self.sum(count)
        return count.item() > 0

    def broadcast(self, value: Tensor) -> None:
        """The first process's value, in place."""
        if self.world > 1:
            dist.broadcast(value, 0)

    def average_gradients(self, gradients: Sequence[Tensor]) -> None:
        """The mean over all processes, in place, in one all-reduce."""
        if self.world == 1:
            return
        flat = parameters_to_vector(gradients)
        dist.all_reduce(flat)
        vector_to_parameters(flat / self.world, gradients)


@contextmanager
def process_group() -> Iterator[Process]:
    """This process as a member of the group that torchrun describes, if any: NCCL between GPUs, gloo between CPUs."""
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Process(0, 1, device)
        return
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Process(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
