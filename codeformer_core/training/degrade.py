"""Synthetic degradation of a clear face: blind degradation, colour loss, brush masks.

The order is the paper's (section 4.1): blur, downsample, noise, JPEG, upsample. Random numbers come from the given generator:
a seed is reproducible. Lengths are those of 512-pixel faces and scale with the face.
"""

import math
import zlib

import cv2
import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from ..imaging.grey import REC601
from .config import Degradation

#: (S, S, 3) RGB in [0, 1], float32.
Image = np.ndarray

#: Side of the faces in the paper's ranges.
PUBLISHED_SIDE = 512

#: Largest shift of a channel, in levels of 255 (`color_jitter_shift` of the reference's options/CodeFormer_colorization.yml).
TINT = 20

#: Brightness and contrast change by half at most, saturation up to 1.5 (basicsr/data/ffhq_blind_dataset.py of the reference).
JITTER = {"brightness": (0.5, 1.5), "contrast": (0.5, 1.5), "saturation": (0.0, 1.5)}

#: As cv2.COLOR_RGB2GRAY and the reference have it.
LUMA = np.array(REC601, np.float32)


def degrade(clear: Image, how: Degradation, rng: Generator) -> Image:
    """The degraded face, of the same size."""
    if how.task == "inpainting":
        return np.where(brush_mask(clear.shape[0], rng)[..., None], np.float32(1), clear)
    small = degrade_small(recolour(clear, how, rng), how, rng)
    return cv2.resize(small, clear.shape[:2], interpolation=cv2.INTER_LINEAR)


def degrade_named(clear: Image, how: Degradation, seed: int, name: str) -> Image:
    """The degraded face of a file; it depends on the seed and the file's name alone, not on the other files of a set.

    Args:
        name: of the file, without suffix.
    """
    return degrade(clear, how, default_rng((seed, zlib.crc32(name.encode("utf-8", "surrogateescape")))))


def degrade_small(clear: Image, how: Degradation, rng: Generator) -> Image:
    """Blur, downsample, noise, JPEG: the small image (s, s, 3) before upsampling."""
    side = clear.shape[0]
    scale = side / PUBLISHED_SIDE
    x = blur(clear, how.blur, scale, rng)
    small = max(1, round(side / max(1.0, rng.uniform(*how.shrink) * scale)))
    x = cv2.resize(x, (small, small), interpolation=cv2.INTER_LINEAR)
    x = x + rng.normal(0, rng.uniform(*how.noise) / 255, x.shape).astype(np.float32)
    return jpeg(np.clip(x, 0, 1), round(rng.uniform(*how.jpeg)))


def blur(clear: Image, sigmas: tuple[float, float], scale: float, rng: Generator) -> Image:
    """Gaussian blur, isotropic or, half the time, anisotropic in a random direction."""
    sigma = rng.uniform(*sigmas) * scale
    minor_sigma, angle = (sigma, 0.0) if rng.random() < 0.5 else (rng.uniform(*sigmas) * scale, rng.uniform(0, math.pi))
    radius = max(1, math.ceil(2.5 * max(sigma, minor_sigma)))
    grid = np.arange(-radius, radius + 1)
    x, y = np.meshgrid(grid, grid)
    major = (x * math.cos(angle) + y * math.sin(angle)) / max(sigma, 1e-3)
    minor = (y * math.cos(angle) - x * math.sin(angle)) / max(minor_sigma, 1e-3)
    kernel = np.exp(-0.5 * (major**2 + minor**2))
    return cv2.filter2D(clear, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def jpeg(image: Image, quality: int) -> Image:
    """Encode as JPEG and decode."""
    pixels = np.round(image[..., ::-1] * 255).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV reads what it has just written"
    return decoded[..., ::-1].astype(np.float32) / 255


def recolour(clear: Image, how: Degradation, rng: Generator) -> Image:
    """Channel shift, colour jitter and greyscale, each with its probability."""
    x = clear
    if rng.random() < how.tint:
        x = x + rng.uniform(-TINT / 255, TINT / 255, 3).astype(np.float32)
    if rng.random() < how.jitter:
        x = adjust_colours(x, *(rng.uniform(*JITTER[name]) for name in ("brightness", "contrast", "saturation")))
    if rng.random() < how.grey:
        x = np.repeat((x @ LUMA)[..., None], 3, axis=2)
    return np.clip(x, 0, 1)


def adjust_colours(image: Image, brightness: float, contrast: float, saturation: float) -> Image:
    """Scale brightness, contrast and saturation; 1 changes nothing. The result may leave [0, 1]."""
    x = image * np.float32(brightness)
    mean = np.float32((x @ LUMA).mean())
    x = (x - mean) * np.float32(contrast) + mean
    grey = (x @ LUMA)[..., None]
    return (x - grey) * np.float32(saturation) + grey


def brush_mask(side: int, rng: Generator) -> NDArray[np.bool_]:
    """(S, S), True where one to four brush strokes (polylines) hide the face."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 5)):
        points = rng.uniform(0, side, (1, 2))
        for _ in range(rng.integers(3, 9)):  # each segment starts at the end of the last one
            step = rng.uniform(0.05, 0.25) * side
            angle = rng.uniform(0, 2 * math.pi)
            points = np.vstack([points, points[-1] + step * np.array([math.cos(angle), math.sin(angle)])])
        width = max(1, round(rng.uniform(0.03, 0.12) * side))
        cv2.polylines(mask, [np.round(points).astype(np.int32)], False, 1, width)
    return mask.astype(bool)
