"""BiSeNet: the parts of the face like ParseNet, from a file under a freer licence, through facexlib's module.

Its classes have another order than ParseNet's; the labels that leave this file are ParseNet's, so masks know one order only.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import parsenet

#: The classes in the order of the network's output (facexlib, inference/inference_parsing.py), in ParseNet's words.
CLASSES = (
    "background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses", "left ear", "right ear", "earring",
    "nose", "mouth", "upper lip", "lower lip", "neck", "necklace", "cloth", "hair", "hat",
)  # fmt: skip

#: ParseNet's number of each class.
TO_PARSENET = tuple(parsenet.CLASSES.index(name) for name in CLASSES)

#: The side that the released file was trained at.
SIDE = 512

#: Mean and spread of ImageNet's colours, which the input is normalised with (facexlib, inference/inference_parsing.py).
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build(state: Mapping[str, Tensor], operations: Any = nn) -> tuple["BiSeNet", Mapping[str, Tensor]]:
    """An empty BiSeNet on the meta device."""
    return BiSeNet(), {f"network.{name}": value for name, value in state.items()}


class BiSeNet(nn.Module):
    """A face parser with 19 classes.

    Attributes:
        role: "parser".
    """

    role = "parser"

    def __init__(self) -> None:
        from facexlib.parsing import bisenet

        super().__init__()
        with torch.device("meta"):
            self.network = bisenet.BiSeNet(num_class=len(CLASSES))

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in fp32, whatever the crops' size: it works at 512 x 512.

        Three score maps of 19 classes, the input and the features come to 77 MiB a crop (counted with torch's profiler); the
        rest is for what convolutions use inside.
        """
        return batch * SIDE * SIDE * 4 * 96

    @torch.no_grad()
    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) RGB in [0, 1] -> labels (N, 512, 512), indices into ParseNet's classes."""
        if crops.shape[-2:] != (SIDE, SIDE):
            crops = F.interpolate(crops, size=(SIDE, SIDE), mode="bilinear", antialias=crops.shape[-1] > SIDE)
        mean, spread = (crops.new_tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, SPREAD))
        scores, _, _ = self.network((crops - mean) / spread)  # the other two served the training
        labels = scores.argmax(dim=1)
        return labels.new_tensor(TO_PARSENET)[labels]
