"""Contact sheets: columns of faces, drawn one below the other."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


def write(rows: Sequence[Tensor], path: Path) -> None:
    """Rows of faces, each (N, 3, S, S) around [-1, 1], as one picture; the n-th column is always the same face."""
    sheet = torch.cat([torch.cat(list(row.float().cpu()), dim=2) for row in rows], dim=1)  # (3, rows * S, N * S)
    pixels = ((sheet + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
