"""The layers of the transformer that predicts codes, and what the released files call their attention."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Multi-head attention whose queries and keys carry the position and whose values do not: (N, T, D) -> (N, T, D)."""

    def __init__(self, dim: int, heads: int, operations: Any = nn) -> None:
        super().__init__()
        self.heads = heads
        self.q = operations.Linear(dim, dim)
        self.k = operations.Linear(dim, dim)
        self.v = operations.Linear(dim, dim)
        self.out_proj = operations.Linear(dim, dim)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        placed = x + position
        projected = self.q(placed), self.k(placed), self.v(x)
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in projected)  # (N, heads, T, D / heads)
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Pre-normalised self-attention and a two-layer perceptron, each beside a shortcut: (N, T, D) -> (N, T, D)."""

    def __init__(self, dim: int, heads: int, operations: Any = nn) -> None:
        super().__init__()
        self.self_attn = SelfAttention(dim, heads, operations)
        self.linear1 = operations.Linear(dim, 2 * dim)
        self.linear2 = operations.Linear(2 * dim, dim)
        self.norm1 = operations.LayerNorm(dim)
        self.norm2 = operations.LayerNorm(dim)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        x = x + self.self_attn(self.norm1(x), position)
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


def split_attention(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with every `in_proj_*` (3 D, ...) as `q.*`, `k.*`, `v.*` (D, ...); views, no copies."""
    result = {}
    for key, value in state.items():
        stem, found, kind = key.partition("in_proj_")
        if found:
            result |= {f"{stem}{name}.{kind}": part for name, part in zip("qkv", value.chunk(3), strict=True)}
        else:
            result[key] = value
    return result


def join_attention(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `split_attention`: a state dict as the released files have it."""
    result = {}
    for key, value in state.items():
        stem, found, kind = key.rpartition("self_attn.q.")
        if found:
            result[f"{stem}self_attn.in_proj_{kind}"] = torch.cat([state[f"{stem}self_attn.{name}.{kind}"] for name in "qkv"])
        elif ".self_attn.k." not in key and ".self_attn.v." not in key:
            result[key] = value
    return result
