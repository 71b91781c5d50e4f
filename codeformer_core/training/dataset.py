"""Training data: augmented and degraded faces that depend on seed and step alone, so that a resumed run sees the same ones."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator, default_rng
from torch import Tensor

from .. import image_io
from ..image_io import ImageFile
from .config import Degradation, TrainingFaces
from .degrade import Image, adjust_colours, degrade

#: File types that are read from a folder.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


class Batch(NamedTuple):
    """Input of one step.

    Attributes:
        clear: (B, 3, S, S) RGB in [-1, 1].
        degraded: (B, 3, S, S) RGB in [-1, 1].
        faces: (B,) index of the file.
        mirrored: (B,) whether it is flipped horizontally.
    """

    clear: Tensor
    degraded: Tensor
    faces: Tensor
    mirrored: Tensor


def split(folder: Path, hold_out: int) -> tuple[list[Path], list[Path]]:
    """Training files and held-out files: every n-th by name, beginning with the first.

    Raises:
        ValueError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"{folder} {what}; expected a folder of aligned faces, as `codeformer crop` makes them.")
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    if not files:
        raise ValueError(f"{folder} holds no image ({', '.join(SUFFIXES)}). Make aligned faces with `codeformer crop`.")
    held = files[::hold_out] if hold_out else []
    return sorted(set(files) - set(held)), held


def read_face(path: Path, square: bool = True) -> np.ndarray:
    """A face, (S', S', 3) RGB in 8 bits; a grey one has equal channels.

    Raises:
        ValueError: the image is damaged, not square or not opaque; the message names the path.
    """
    try:
        file = image_io.read(path)
    except ValueError as error:
        raise ValueError(f"{path}{str(error).removeprefix(path.name)}") from error
    return opaque(file, str(path), square)


def opaque(file: ImageFile, name: str, square: bool = False) -> np.ndarray:
    """The pixels of an image, (H, W, 3) RGB in 8 bits.

    Raises:
        ValueError: parts of it are transparent, and what is there is not known; or it is not `square` and should be.
    """
    height, width = file.image.shape[-2:]
    if square and width != height:
        raise ValueError(f"{name} has {width} x {height} pixels, expected a square: use `codeformer crop`.")
    if file.alpha is not None and bool((file.alpha < 1).any()):
        raise ValueError(f"{name} has transparent parts, expected an opaque image: put it on a background first.")
    return (file.image[0] * 255).round().byte().permute(1, 2, 0).numpy()


def resize_face(pixels: np.ndarray, side: int) -> Image:
    """A face (S', S', 3) in 8 bits as (side, side, 3) in [0, 1]."""
    resized = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if pixels.shape[0] > side else cv2.INTER_CUBIC)
    return resized.astype(np.float32) / 255


def to_image(pixels: Image) -> Tensor:
    """An image (H, W, 3) in [0, 1] -> (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]


def to_tensor(images: list[Image]) -> Tensor:
    """Images (S, S, 3) in [0, 1] -> (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous() * 2 - 1


@dataclass(frozen=True)
class Sampler:
    """Batches by step number, reproducible from the seed alone."""

    files: list[Path]
    augmentation: TrainingFaces
    degradation: Degradation
    side: int
    batch: int  # B, of one process
    seed: int
    rank: int = 0  # of this process
    world: int = 1  # number of processes

    def __call__(self, step: int) -> Batch:
        """The batch of a step, always the same one."""
        first = (step * self.world + self.rank) * self.batch
        samples = [self._sample(first + index) for index in range(self.batch)]
        clear, degraded, faces, mirrored = zip(*samples, strict=True)
        return Batch(to_tensor(list(clear)), to_tensor(list(degraded)), torch.tensor(faces), torch.tensor(mirrored))

    def _sample(self, index: int) -> tuple[Image, Image, int, bool]:
        """One face, by its index in the endless sequence of shuffled epochs."""
        rng = default_rng((self.seed, 1, index))
        face = int(_shuffled(self.seed, index // len(self.files), len(self.files))[index % len(self.files)])
        mirrored = bool(rng.random() < 0.5)
        clear = self._augment(read_face(self.files[face]), rng)
        clear = np.ascontiguousarray(clear[:, ::-1]) if mirrored else clear
        return clear, degrade(clear, self.degradation, rng), face, mirrored

    def _augment(self, pixels: np.ndarray, rng: Generator) -> Image:
        side, how = pixels.shape[0], self.augmentation
        kept = round(side * (1 - rng.uniform(0, how.zoom + how.shift)))
        margin = side - kept
        left, top = (min(margin, max(0, round(margin / 2 + rng.uniform(-1, 1) * how.shift * side))) for _ in range(2))
        clear = resize_face(pixels[top : top + kept, left : left + kept], self.side)
        if not how.colour:
            return clear
        return np.clip(adjust_colours(clear, *rng.uniform(1 - how.colour, 1 + how.colour, 3)), 0, 1).astype(np.float32)


@lru_cache(2)
def _shuffled(seed: int, epoch: int, count: int) -> np.ndarray:
    return default_rng((seed, 0, epoch)).permutation(count)
