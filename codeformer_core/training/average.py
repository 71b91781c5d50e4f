"""The running mean of weights, which draws better than the weights themselves."""

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of a network's parameters.

    Args:
        network: whose.
        decay: how much of the mean stays at each step; less in the first steps, so that the start is forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.parameters = {name: value.detach().clone() for name, value in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """After a step, which counts from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.named_parameters():
            if value.requires_grad:
                self.parameters[name].lerp_(value, 1 - decay)

    def follow(self, name: str, value: Tensor) -> None:
        """What has been moved at once is not averaged with where it was."""
        self.parameters[name].copy_(value.detach())
