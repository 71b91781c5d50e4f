"""How a clear face becomes a degraded one: blind degradation, lost colours, hidden parts.

The order is the paper's (section 4.1): blur, shrink, noise, JPEG, enlarge. Every number is drawn from the generator that is
given, so that the same seed degrades alike. Lengths are meant for faces of 512 pixels and scaled to the face at hand.
"""

import math

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .config import Degradation

Picture = np.ndarray

"""(S, S, 3) RGB in [0, 1], float32."""

#: Side of the faces that the paper's ranges are meant for.
PUBLISHED_SIDE = 512

#: Largest shift of a channel, in levels of 255 (`color_jitter_shift` of the reference's options/CodeFormer_colorization.yml).
TINT = 20

#: Brightness and contrast change by half at most, saturation up to 1.5 (basicsr/data/ffhq_blind_dataset.py of the reference).
JITTER = {"brightness": (0.5, 1.5), "contrast": (0.5, 1.5), "saturation": (0.0, 1.5)}

#: Rec. 601, as cv2.COLOR_RGB2GRAY and the reference have it.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def degrade(clear: Picture, how: Degradation, draw: Generator) -> Picture:
    """The degraded face, of the same size."""
    if how.task == "inpainting":
        return np.where(brush_mask(clear.shape[0], draw)[..., None], np.float32(1), clear)
    return blind(recolour(clear, how, draw), how, draw)


def blind(clear: Picture, how: Degradation, draw: Generator) -> Picture:
    """Blur, shrink, noise, JPEG, enlarge."""
    return cv2.resize(shrunk(clear, how, draw), clear.shape[:2], interpolation=cv2.INTER_LINEAR)


def shrunk(clear: Picture, how: Degradation, draw: Generator) -> Picture:
    """Blur, shrink, noise, JPEG: the small picture (s, s, 3) that is left of a face."""
    side = clear.shape[0]
    scale = side / PUBLISHED_SIDE
    x = blur(clear, how.blur, scale, draw)
    small = max(1, round(side / max(1.0, draw.uniform(*how.shrink) * scale)))
    x = cv2.resize(x, (small, small), interpolation=cv2.INTER_LINEAR)
    x = x + draw.normal(0, draw.uniform(*how.noise) / 255, x.shape).astype(np.float32)
    return jpeg(np.clip(x, 0, 1), round(draw.uniform(*how.jpeg)))


def blur(clear: Picture, sigmas: tuple[float, float], scale: float, draw: Generator) -> Picture:
    """Convolved with a Gaussian, half the time one that is stretched in any direction."""
    sigma = draw.uniform(*sigmas) * scale
    across, angle = (sigma, 0.0) if draw.random() < 0.5 else (draw.uniform(*sigmas) * scale, draw.uniform(0, math.pi))
    reach = max(1, math.ceil(2.5 * max(sigma, across)))
    grid = np.arange(-reach, reach + 1)
    x, y = np.meshgrid(grid, grid)
    along = (x * math.cos(angle) + y * math.sin(angle)) / max(sigma, 1e-3)
    aside = (y * math.cos(angle) - x * math.sin(angle)) / max(across, 1e-3)
    kernel = np.exp(-0.5 * (along**2 + aside**2))
    return cv2.filter2D(clear, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def jpeg(picture: Picture, quality: int) -> Picture:
    """Stored as JPEG and read again."""
    pixels = np.round(picture[..., ::-1] * 255).astype(np.uint8)
    _, stored = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(stored, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV reads what it has just written"
    return decoded[..., ::-1].astype(np.float32) / 255


def recolour(clear: Picture, how: Degradation, draw: Generator) -> Picture:
    """Shifted channels, other light, or no colours at all, each with its probability."""
    x = clear
    if draw.random() < how.tint:
        x = x + draw.uniform(-TINT / 255, TINT / 255, 3).astype(np.float32)
    if draw.random() < how.jitter:
        x = relight(x, *(draw.uniform(*JITTER[name]) for name in ("brightness", "contrast", "saturation")))
    if draw.random() < how.grey:
        x = np.repeat((x @ LUMA)[..., None], 3, axis=2)
    return np.clip(x, 0, 1)


def relight(picture: Picture, brightness: float, contrast: float, saturation: float) -> Picture:
    """Each factor 1 changes nothing; the result may leave [0, 1]."""
    x = picture * np.float32(brightness)
    mean = np.float32((x @ LUMA).mean())
    x = (x - mean) * np.float32(contrast) + mean
    grey = (x @ LUMA)[..., None]
    return (x - grey) * np.float32(saturation) + grey


def brush_mask(side: int, draw: Generator) -> NDArray[np.bool_]:
    """(S, S), True where one to four broad strokes of a brush hide the face."""
    mask = np.zeros((side, side), np.uint8)
    for _ in range(draw.integers(1, 5)):
        points = draw.uniform(0, side, (1, 2))
        for _ in range(draw.integers(3, 9)):  # each piece goes on from the last one's end, turning as a hand does
            step = draw.uniform(0.05, 0.25) * side
            angle = draw.uniform(0, 2 * math.pi)
            points = np.vstack([points, points[-1] + step * np.array([math.cos(angle), math.sin(angle)])])
        width = max(1, round(draw.uniform(0.03, 0.12) * side))
        cv2.polylines(mask, [np.round(points).astype(np.int32)], False, 1, width)
    return mask.astype(bool)
