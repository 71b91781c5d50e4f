"""A parser whose labels a test knows beforehand."""

import torch
from torch import Tensor


class Halves:
    """It calls the left half of every crop skin and the right half cloth."""

    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) -> labels (N, 512, 512) where they are."""
        labels = torch.full((len(crops), 512, 512), 18, device=crops.device)
        labels[:, :, :256] = 1
        return labels
