"""The autoencoder with a discrete codebook that CodeFormer is built on: encoder, codebook, generator (Esser et al., 2021).

Module and parameter names are those of the released files (`encoder.blocks.3.conv.weight`), so that they load strictly.
"""

import re
from bisect import bisect
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .normalisation import GroupNorm

#: Group normalisation of every layer: 32 groups, eps 1e-6 (taming-transformers, which the released weights were trained with).
GROUPS, EPS = 32, 1e-6


@dataclass(frozen=True)
class Architecture:
    """Every number that defines a CodeFormer network; `read` takes them from the weights.

    Attributes:
        channels: width of each level, from full resolution down; each level after the first halves the side.
        res_blocks: residual blocks per level.
        attention: levels (indices into `channels`) whose residual blocks are followed by attention.
        codebook_size: entries of the codebook.
        code_dim: width of a codebook entry.
        code_side: side of the square of codes, so that `code_side ** 2` codes make a face.
        embed_dim: width of the transformer.
        layers: transformer layers.
        fuse_sides: sides of the feature maps at which the controllable feature transformation works.
    """

    channels: tuple[int, ...]
    res_blocks: int
    attention: tuple[int, ...]
    codebook_size: int
    code_dim: int
    code_side: int
    embed_dim: int
    layers: int
    fuse_sides: tuple[int, ...]

    def __post_init__(self) -> None:
        odd = [width for width in self.channels if width % GROUPS]
        if odd:
            raise ValueError(f"Found widths {odd}; group normalisation needs multiples of {GROUPS}: change the widths.")
        if self.embed_dim % self.heads:
            raise ValueError(f"Found a transformer of width {self.embed_dim}. Expected a multiple of 64: change the width.")
        beyond = [side for side in self.fuse_sides if side not in self.level_sides[:-1]]
        if beyond:
            sides = ", ".join(map(str, self.level_sides[:-1]))
            raise ValueError(f"Found fusion at sides {beyond}; expected some of {sides}: choose among these.")

    @property
    def side(self) -> int:
        """Side of the face crop in pixels."""
        return self.code_side * 2 ** (len(self.channels) - 1)

    @property
    def level_sides(self) -> tuple[int, ...]:
        """Side of the feature map of each level, full resolution first."""
        return tuple(self.side >> level for level in range(len(self.channels)))

    @property
    def heads(self) -> int:
        """Attention heads of the transformer. Not visible in a checkpoint: 64 channels a head, as released (512 / 8)."""
        return max(1, self.embed_dim // 64)

    @property
    def task(self) -> str:
        """Only networks for restoration fuse from half the crop's side on, only those for inpainting have a codebook of 512."""
        if not self.fuse_sides or self.fuse_sides[-1] >= self.side // 2:
            return "restoration"
        return "inpainting" if self.codebook_size == 512 else "colorization"

    @classmethod
    def read(cls, state: Mapping[str, Tensor]) -> "Architecture":
        """The numbers behind a state dict that has the released files' parameter names.

        Raises:
            KeyError: a parameter that every network of the family has is absent.
        """

        def blocks_with(layer: str) -> list[int]:
            """The encoder's blocks with a layer of this name, by index."""
            name = re.compile(rf"encoder\.blocks\.(\d+)\.{layer}\.weight")
            return sorted(int(match[1]) for match in map(name.fullmatch, state) if match)

        downs = blocks_with("conv")  # the steps down to the next level
        attention = blocks_with("q")[:-1]  # the last one belongs to the middle
        tokens, embed_dim = state["position_emb"].shape
        channels = [state[f"encoder.blocks.{index}.conv.weight"].shape[0] for index in downs]
        return cls(
            channels=(*channels, state["generator.blocks.0.weight"].shape[0]),
            res_blocks=sum(index < min(downs, default=0) for index in blocks_with("norm1")),
            attention=tuple(sorted({bisect(downs, index) for index in attention})),
            codebook_size=state["quantize.embedding.weight"].shape[0],
            code_dim=state["quantize.embedding.weight"].shape[1],
            code_side=round(tokens**0.5),
            embed_dim=embed_dim,
            layers=len({key.split(".")[1] for key in state if key.startswith("ft_layers.")}),
            fuse_sides=tuple(sorted({int(key.split(".")[1]) for key in state if key.startswith("fuse_convs_dict.")})),
        )


class ResBlock(nn.Module):
    """Two normalised convolutions beside a shortcut: (N, C, H, W) -> (N, C', H, W)."""

    def __init__(self, channels: int, out_channels: int, operations: Any = nn) -> None:
        super().__init__()
        self.norm1 = GroupNorm(GROUPS, channels, EPS)
        self.conv1 = operations.Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = GroupNorm(GROUPS, out_channels, EPS)
        self.conv2 = operations.Conv2d(out_channels, out_channels, 3, padding=1)
        if channels != out_channels:
            self.conv_out = operations.Conv2d(channels, out_channels, 1)
        self.widens = channels != out_channels

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x), inplace=True))
        h = self.conv2(F.silu(self.norm2(h), inplace=True))
        return h.add_(self.conv_out(x) if self.widens else x)


class AttentionBlock(nn.Module):
    """Single-head self-attention over the cells of a feature map: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int, operations: Any = nn) -> None:
        super().__init__()
        self.norm = GroupNorm(GROUPS, channels, EPS)
        self.q = operations.Conv2d(channels, channels, 1)
        self.k = operations.Conv2d(channels, channels, 1)
        self.v = operations.Conv2d(channels, channels, 1)
        self.proj_out = operations.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2).unsqueeze(1) for layer in (self.q, self.k, self.v))  # (N, 1, HW, C)
        attended = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)  # (N, C, HW)
        return self.proj_out(attended.reshape(x.shape)).add_(x)


def _downsample(channels: int, operations: Any) -> nn.Sequential:
    """Halves the side with a strided convolution; the padding is on the right and at the bottom only."""
    conv = operations.Conv2d(channels, channels, 3, stride=2)
    return nn.Sequential(OrderedDict(pad=nn.ZeroPad2d((0, 1, 0, 1)), conv=conv))


def _upsample(channels: int, operations: Any, folded: bool) -> nn.Sequential:
    """Doubles the side by repeating pixels, then convolves.

    Folded, this is one step with 16 instead of 36 products for each pixel that comes in: see `folding.py`.
    """
    if folded:
        return nn.Sequential(OrderedDict(conv=operations.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)))
    conv = operations.Conv2d(channels, channels, 3, padding=1)
    return nn.Sequential(OrderedDict(repeat=nn.Upsample(scale_factor=2.0), conv=conv))


class Encoder(nn.Module):
    """A degraded face to its features: (N, 3, S, S) in [-1, 1] -> (N, code_dim, code_side, code_side)."""

    def __init__(self, arch: Architecture, operations: Any = nn) -> None:
        super().__init__()
        blocks: list[nn.Module] = [operations.Conv2d(3, arch.channels[0], 3, padding=1)]
        width = arch.channels[0]
        #: block index -> side: the last block before each step down, where the fusion takes its features.
        self.tap_sides: dict[int, int] = {}
        for level, out_width in enumerate(arch.channels):
            for _ in range(arch.res_blocks):
                blocks.append(ResBlock(width, out_width, operations))
                width = out_width
                if level in arch.attention:
                    blocks.append(AttentionBlock(width, operations))
            if level < len(arch.channels) - 1:
                self.tap_sides[len(blocks) - 1] = arch.level_sides[level]
                blocks.append(_downsample(width, operations))
        blocks += [ResBlock(width, width, operations), AttentionBlock(width, operations), ResBlock(width, width, operations)]
        blocks += [GroupNorm(GROUPS, width, EPS), operations.Conv2d(width, arch.code_dim, 3, padding=1)]
        self.blocks = nn.ModuleList(blocks)
        #: index of the first block at the level of the codes: after the last tap and the step down.
        self.last_level = max(self.tap_sides, default=-2) + 2
        self.dtype: torch.dtype | None = None

    def with_dtype(self, dtype: torch.dtype) -> None:
        """Compute between the first convolution and the level of the codes in this dtype; these two stay in float32.

        Rounding changes most codes there, for a fiftieth of the network's products: docs/performance.md#fast.
        """
        self.dtype = dtype
        self.blocks[1 : self.last_level].to(dtype)

    def forward(self, x: Tensor, keep: tuple[int, ...] = ()) -> tuple[Tensor, dict[int, Tensor]]:
        """The features, and the feature maps at the sides in `keep` (side -> (N, C, side, side))."""
        kept = {}
        for index, block in enumerate(self.blocks):
            if self.dtype:
                x = x.to(self.dtype if 0 < index < self.last_level else torch.float32)
            x = block(x)
            if self.tap_sides.get(index) in keep:
                kept[self.tap_sides[index]] = x
        return x, kept


class Codebook(nn.Module):
    """The discrete prior: codes to the features that the generator was trained on."""

    def __init__(self, arch: Architecture, operations: Any = nn) -> None:
        super().__init__()
        self.embedding = operations.Embedding(arch.codebook_size, arch.code_dim)

    def forward(self, codes: Tensor, like: Tensor) -> Tensor:
        """Codes (N, h * w) -> features (N, code_dim, h, w) with the shape and dtype of `like`."""
        return self.embedding(codes).to(like.dtype).transpose(1, 2).reshape(like.shape)


class Generator(nn.Module):
    """Quantised features to a face: (N, code_dim, code_side, code_side) -> (N, 3, S, S) around [-1, 1].

    Args:
        folded: build it for weights that went through `folding.fold_upsampling`: the same function in fewer steps, which cannot
            be trained.
    """

    def __init__(self, arch: Architecture, operations: Any = nn, folded: bool = False) -> None:
        super().__init__()
        width = arch.channels[-1]
        blocks: list[nn.Module] = [operations.Conv2d(arch.code_dim, width, 3, padding=1)]
        blocks += [ResBlock(width, width, operations), AttentionBlock(width, operations), ResBlock(width, width, operations)]
        #: block index -> side: the first residual block after each step up, whose output the fusion changes.
        self.tap_sides: dict[int, int] = {}
        for level in reversed(range(len(arch.channels))):
            for repeat in range(arch.res_blocks):
                blocks.append(ResBlock(width, arch.channels[level], operations))
                width = arch.channels[level]
                if repeat == 0 and level < len(arch.channels) - 1:
                    self.tap_sides[len(blocks) - 1] = arch.level_sides[level]
                if level in arch.attention:
                    blocks.append(AttentionBlock(width, operations))
            if level:
                blocks.append(_upsample(width, operations, folded))
        blocks += [GroupNorm(GROUPS, width, EPS), operations.Conv2d(width, 3, 3, padding=1)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Nothing fused: `CodeFormer.decode` goes through the blocks itself to fuse between them."""
        return self.blocks(x)
