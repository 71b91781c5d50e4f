"""Vector quantisation: nearest codebook entry, cached codes of the training faces, k-means initialisation."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from .dataset import read_face, resize_face, to_tensor


def nearest(features: Tensor, entries: Tensor) -> Tensor:
    """Features (N, C, h, w), entries (K, C) -> codes (N, h * w): index of the nearest entry (L2)."""
    return _nearest(vectors(features), entries).view(features.shape[0], -1)


def vectors(features: Tensor) -> Tensor:
    """Features (N, C, h, w) -> (N * h * w, C), in single precision."""
    return features.detach().float().flatten(2).transpose(1, 2).flatten(0, 1)


def _nearest(points: Tensor, entries: Tensor) -> Tensor:
    entries = entries.detach().float()
    return (entries.square().sum(dim=1) - 2 * points @ entries.T).argmin(dim=1)  # |p|^2 is the same for every entry


def code_table(files: Sequence[Path], side: int, codes: Callable[[Tensor], Tensor]) -> Tensor:
    """The codes of every face, original and mirrored: (F, 2, T); a cache for training without other augmentation.

    Args:
        files: F faces.
        side: S.
        codes: clear faces (N, 3, S, S) in [-1, 1] -> (N, T).
    """
    rows = []
    for first in range(0, len(files), 8):
        clear = to_tensor([resize_face(read_face(file), side) for file in files[first : first + 8]])
        rows.append(torch.stack([codes(clear), codes(clear.flip(3))], dim=1))
    return torch.cat(rows)


def fingerprint(files: Sequence[Path], side: int, weights: Iterable[Tensor]) -> str:
    """Hash of what `code_table` depends on: names, sizes and times of the files, the side, weights of encoder and codebook."""
    digest = hashlib.sha256(str(side).encode())
    for file in files:
        stat = file.stat()
        digest.update(f"\n{file.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    for weight in weights:
        digest.update(weight.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def k_means(points: Tensor, count: int, rng: torch.Generator, rounds: int = 10) -> Tensor:
    """k-means centres (count, C) of points (P, C), initialised with random points; empty clusters are reseeded."""
    centres = points[torch.randperm(len(points), generator=rng)[:count]]
    if len(centres) < count:
        raise ValueError(f"Found {len(points)} features for {count} entries: use larger batches, or a smaller codebook.")
    for _ in range(rounds):
        nearest_centre = _nearest(points, centres)
        sizes = torch.bincount(nearest_centre, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest_centre, points)
        reseeds = points[torch.randint(len(points), (count,), generator=rng)]
        centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], reseeds)
    return centres
