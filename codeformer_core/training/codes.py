"""Features of the encoder to codes: the nearest entry, and how entries find their places."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from .dataset import cut, picture, to_tensor


def nearest(features: Tensor, entries: Tensor) -> Tensor:
    """Features (N, C, h, w), entries (K, C) -> codes (N, h * w): the entry at the smallest distance."""
    return _nearest(vectors(features), entries).view(features.shape[0], -1)


def vectors(features: Tensor) -> Tensor:
    """Features (N, C, h, w) -> (N * h * w, C), in single precision."""
    return features.detach().float().flatten(2).transpose(1, 2).flatten(0, 1)


def _nearest(points: Tensor, entries: Tensor) -> Tensor:
    entries = entries.detach().float()
    return (entries.square().sum(dim=1) - 2 * points @ entries.T).argmin(dim=1)  # |p|^2 is the same for every entry


def table(files: Sequence[Path], side: int, codes: Callable[[Tensor], Tensor]) -> Tensor:
    """The codes of every face as it is and mirrored: (F, 2, T), once and for all where faces are not varied otherwise.

    Args:
        files: F faces.
        side: S.
        codes: clear faces (N, 3, S, S) in [-1, 1] -> (N, T).
    """
    rows = []
    for first in range(0, len(files), 8):
        clear = to_tensor([cut(picture(file), side) for file in files[first : first + 8]])
        rows.append(torch.stack([codes(clear), codes(clear.flip(3))], dim=1))
    return torch.cat(rows)


def origin(files: Sequence[Path], side: int, weights: Iterable[Tensor]) -> str:
    """What `table` depends on, as a hash: the files as they are now, the side, and the weights of encoder and codebook."""
    digest = hashlib.sha256(str(side).encode())
    for file in files:
        now = file.stat()
        digest.update(f"\n{file.name} {now.st_size} {now.st_mtime_ns}".encode())
    for one in weights:
        digest.update(one.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def clusters(points: Tensor, count: int, draw: torch.Generator, rounds: int = 10) -> Tensor:
    """The centres (count, C) of points (P, C): k-means from random points; a centre without points becomes another point."""
    centres = points[torch.randperm(len(points), generator=draw)[:count]]
    if len(centres) < count:
        raise ValueError(f"Found {len(points)} features for {count} entries: use larger batches, or a smaller codebook.")
    for _ in range(rounds):
        mine = _nearest(points, centres)
        sizes = torch.bincount(mine, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, mine, points)
        fresh = points[torch.randint(len(points), (count,), generator=draw)]
        centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], fresh)
    return centres
