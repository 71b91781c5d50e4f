"""ParseNet: which part of the face each pixel of a crop is, through facexlib's module."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from .precision import PRECISIONS, Precision

#: The classes in the order of the network's output (facexlib, inference/inference_parsing_parsenet.py).
CLASSES = (
    "background", "skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow", "left ear", "right ear",
    "mouth", "upper lip", "lower lip", "hair", "hat", "earring", "necklace", "neck", "cloth",
)  # fmt: skip

#: The side that the released file was trained at.
SIDE = 512


def build(state: Mapping[str, Tensor], operations: Any = nn) -> tuple["ParseNet", Mapping[str, Tensor]]:
    """An empty ParseNet on the meta device."""
    return ParseNet(), {f"network.{name}": value for name, value in state.items()}


class ParseNet(nn.Module):
    """A face parser with 19 classes.

    Attributes:
        role: "parser".
    """

    role = "parser"

    def __init__(self) -> None:
        from facexlib.parsing import parsenet

        super().__init__()
        with torch.device("meta"):
            self.network: Any = parsenet.ParseNet(in_size=SIDE, out_size=SIDE, parsing_ch=len(CLASSES))
        self.precision = PRECISIONS["exact"]

    def with_precision(self, precision: Precision) -> "ParseNet":
        """Fold batch normalisation into the convolutions before it, and cast to the generator's dtype. Returns itself."""
        from facexlib.parsing.parsenet import NormLayer

        for layer in self.network.modules():
            if isinstance(norm := getattr(layer, "norm", None), NormLayer) and isinstance(norm.norm, nn.BatchNorm2d):
                layer.conv2d = fuse_conv_bn_eval(layer.conv2d, norm.norm)
                layer.norm = nn.Identity()
        self.precision = precision
        self.to(precision.generator_dtype)
        return self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - not in the stubs of nn.Module.to

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in fp32, whatever the crops' size: it works at 512 x 512."""
        return batch * SIDE * SIDE * 64 * 4 * 6  # six maps of 64 channels at full resolution

    @torch.no_grad()
    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) RGB in [0, 1] -> labels (N, 512, 512), indices into `CLASSES`."""
        if crops.shape[-2:] != (SIDE, SIDE):
            crops = F.interpolate(crops, size=(SIDE, SIDE), mode="bilinear", antialias=crops.shape[-1] > SIDE)
        x = (crops * 2 - 1).to(self.precision.generator_dtype, memory_format=torch.channels_last)
        features = self.network.encoder(x)
        # As the module's forward, without the image that it also decodes.
        scores = self.network.out_mask_conv(self.network.decoder(features + self.network.body(features)))
        return scores.argmax(dim=1)
