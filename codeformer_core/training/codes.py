"""Vector quantisation: nearest codebook entry, k-means initialisation, and what cached codes depend on."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor


def nearest(features: Tensor, entries: Tensor) -> Tensor:
    """Features (N, C, h, w), entries (K, C) -> codes (N, h * w): index of the nearest entry (L2)."""
    return _nearest(vectors(features), entries).view(features.shape[0], -1)


def vectors(features: Tensor) -> Tensor:
    """Features (N, C, h, w) -> (N * h * w, C), in single precision."""
    return features.detach().float().flatten(2).transpose(1, 2).flatten(0, 1)


def _nearest(points: Tensor, entries: Tensor) -> Tensor:
    entries = entries.detach().float()
    return (entries.square().sum(dim=1) - 2 * points @ entries.T).argmin(dim=1)  # |p|^2 is the same for every entry


def fingerprint(files: Iterable[Path], side: int, weights: Iterable[Tensor]) -> str:
    """Hash of what cached codes depend on: names, sizes and times of the files, the side, weights of encoder and codebook."""
    digest = hashlib.sha256(str(side).encode())
    for file in files:
        stat = file.stat()
        digest.update(os.fsencode(f"\n{file.name} {stat.st_size} {stat.st_mtime_ns}"))
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
