"""Which faces a step sees, and how each is varied: everything follows from the seed and the step, so that runs can go on."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator, default_rng
from PIL import Image
from torch import Tensor

from .config import Degradation, Faces
from .degrade import Picture, degrade, relight

#: Names of files that are taken from a folder.
ENDS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


class Batch(NamedTuple):
    """What one step learns from.

    Attributes:
        clear: (B, 3, S, S) RGB in [-1, 1].
        degraded: (B, 3, S, S) RGB in [-1, 1].
        faces: (B,) which face of the folder each is.
        mirrored: (B,) whether it is mirrored.
    """

    clear: Tensor
    degraded: Tensor
    faces: Tensor
    mirrored: Tensor


def split(folder: Path, hold_out: int) -> tuple[list[Path], list[Path]]:
    """The files to learn from, and those held out: every so manyth by name, from the first on.

    Raises:
        ValueError: the folder holds no picture.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in ENDS)
    if not files:
        raise ValueError(f"{folder} holds no picture ({', '.join(ENDS)}). Make aligned faces with `codeformer crop`.")
    held = files[::hold_out] if hold_out else []
    out = set(held)
    return [path for path in files if path not in out], held


def picture(path: Path) -> np.ndarray:
    """A face, (S', S', 3) RGB in 8 bits.

    Raises:
        ValueError: the picture is not square.
    """
    with Image.open(path) as opened:
        if opened.width != opened.height:
            raise ValueError(f"{path} has {opened.width} x {opened.height} pixels, expected a square: use `codeformer crop`.")
        return np.array(opened.convert("RGB"))


def cut(pixels: np.ndarray, side: int) -> Picture:
    """Pixels (S', S', 3) in 8 bits as a picture (side, side, 3) in [0, 1]."""
    shrinks = pixels.shape[0] > side
    resized = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return resized.astype(np.float32) / 255


def to_tensor(pictures: list[Picture]) -> Tensor:
    """Pictures (S, S, 3) in [0, 1] -> (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous() * 2 - 1


class Sampler:
    """Batches by the number of their step.

    Args:
        files: the faces.
        varied: how they are varied.
        how: how they are degraded.
        side: S.
        batch: B, of one process.
        seed: of everything that is drawn.
        rank, world: which process this is, and of how many.
    """

    def __init__(
        self,
        files: list[Path],
        varied: Faces,
        how: Degradation,
        side: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.files, self.varied, self.how = files, varied, how
        self.side, self.batch, self.seed = side, batch, seed
        self.rank, self.world = rank, world
        self.order = lru_cache(2)(lambda epoch: default_rng((seed, 0, epoch)).permutation(len(files)))

    def __call__(self, step: int) -> Batch:
        """The batch of a step, always the same one."""
        first = (step * self.world + self.rank) * self.batch
        drawn = [self._sample(first + place) for place in range(self.batch)]
        clear, degraded, faces, mirrored = zip(*drawn, strict=True)
        return Batch(to_tensor(list(clear)), to_tensor(list(degraded)), torch.tensor(faces), torch.tensor(mirrored))

    def _sample(self, place: int) -> tuple[Picture, Picture, int, bool]:
        """One face, by its place in the endless row of all samples."""
        draw = default_rng((self.seed, 1, place))
        face = int(self.order(place // len(self.files))[place % len(self.files)])
        mirrored = bool(draw.random() < 0.5)
        clear = self._vary(picture(self.files[face]), draw)
        clear = np.ascontiguousarray(clear[:, ::-1]) if mirrored else clear
        return clear, degrade(clear, self.how, draw), face, mirrored

    def _vary(self, pixels: np.ndarray, draw: Generator) -> Picture:
        side = pixels.shape[0]
        kept = round(side * (1 - draw.uniform(0, self.varied.zoom + self.varied.shift)))
        room = side - kept
        left, top = (min(room, max(0, round(room / 2 + draw.uniform(-1, 1) * self.varied.shift * side))) for _ in range(2))
        clear = cut(pixels[top : top + kept, left : left + kept], self.side)
        if not self.varied.colour:
            return clear
        spread = self.varied.colour
        return np.clip(relight(clear, *draw.uniform(1 - spread, 1 + spread, 3)), 0, 1).astype(np.float32)
