"""Face parsers: which part of the face each pixel of a crop shows. ParseNet, and BiSeNet with a freer licence, by facexlib.

Labels are ParseNet's classes, whichever network they come from, so that masks know one order only.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from ..runtime.finite import check_finite
from .precision import Precision, check_dtype

#: ParseNet's classes in the order of its output (facexlib, inference/inference_parsing_parsenet.py).
CLASSES = (
    "background", "skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow", "left ear", "right ear",
    "mouth", "upper lip", "lower lip", "hair", "hat", "earring", "necklace", "neck", "cloth",
)  # fmt: skip

#: BiSeNet's classes in the order of its output (facexlib, inference/inference_parsing.py), in ParseNet's words.
BISENET_CLASSES = (
    "background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses", "left ear", "right ear", "earring",
    "nose", "mouth", "upper lip", "lower lip", "neck", "necklace", "cloth", "hair", "hat",
)  # fmt: skip

#: ParseNet's number of each of BiSeNet's classes.
TO_PARSENET = tuple(CLASSES.index(name) for name in BISENET_CLASSES)

#: Side of the crops that both released files were trained with.
SIDE = 512

#: ImageNet's mean and standard deviation, which BiSeNet's input is normalised with (facexlib, inference/inference_parsing.py).
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FaceParser(nn.Module, ABC):
    """What both parsers share.

    Attributes:
        role: "parser".
        network: facexlib's module.
        bytes_per_pixel: of activations in fp32, at the network's own size.
        dtype: of its weights.
    """

    role, dtype = "parser", torch.float32
    bytes_per_pixel: int

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in fp32, whatever the crops' size: it works at 512 x 512."""
        return batch * SIDE * SIDE * self.bytes_per_pixel

    @torch.no_grad()
    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) RGB in [0, 1] -> labels (N, 512, 512), indices into `CLASSES`."""
        check_dtype(self, self.dtype)
        if crops.shape[-2:] != (SIDE, SIDE):
            crops = F.interpolate(crops, size=(SIDE, SIDE), mode="bilinear", antialias=crops.shape[-1] > SIDE)
        best, labels = self.scores(crops).max(dim=1)  # which a NaN always is
        check_finite(best, self, crops, "face")
        return self.ours(labels)

    @abstractmethod
    def scores(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, 512, 512) RGB in [0, 1] -> the score of each of its classes (N, 19, 512, 512)."""

    def ours(self, labels: Tensor) -> Tensor:
        """The network's classes as indices into `CLASSES`."""
        return labels


class ParseNet(FaceParser):
    """ParseNet; it can compute in bfloat16."""

    bytes_per_pixel = 64 * 4 * 6  # six maps of 64 channels

    def __init__(self) -> None:
        from facexlib.parsing import parsenet

        super().__init__(parsenet.ParseNet(in_size=SIDE, out_size=SIDE, parsing_ch=len(CLASSES)))

    def with_precision(self, precision: Precision) -> "ParseNet":
        """Fold batch normalisation into the convolutions before it, and cast to the generator's dtype. Returns itself."""
        from facexlib.parsing.parsenet import NormLayer

        for layer in self.network.modules():
            if isinstance(norm := getattr(layer, "norm", None), NormLayer) and isinstance(norm.norm, nn.BatchNorm2d):
                layer.conv2d = fuse_conv_bn_eval(layer.conv2d, norm.norm)
                layer.norm = nn.Identity()
        self.dtype = precision.generator_dtype
        self.to(self.dtype)
        return self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - not in the stubs of nn.Module.to

    def scores(self, crops: Tensor) -> Tensor:
        """As the module's forward, without the image that it also decodes."""
        features = self.network.encoder((crops * 2 - 1).to(self.dtype, memory_format=torch.channels_last))
        return self.network.out_mask_conv(self.network.decoder(features + self.network.body(features)))


class BiSeNet(FaceParser):
    """BiSeNet, in float32 only."""

    # Three score maps of 19 classes, the input and the features are 77 (torch's profiler); the rest is for convolutions.
    bytes_per_pixel = 4 * 96

    def __init__(self) -> None:
        from facexlib.parsing import bisenet

        super().__init__(bisenet.BiSeNet(num_class=len(CLASSES)))

    def scores(self, crops: Tensor) -> Tensor:
        """The first of three score maps; the other two served the training."""
        mean, std = (crops.new_tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
        return self.network((crops - mean) / std)[0]

    def ours(self, labels: Tensor) -> Tensor:
        return labels.new_tensor(TO_PARSENET)[labels]
