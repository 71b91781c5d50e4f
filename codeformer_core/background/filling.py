"""Inpainting: fill holes anywhere in images, window by window around the holes, at the images' own size."""

from collections.abc import Iterator
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from ..runtime.finite import check_finite
from ..runtime.progress import Tick, no_tick

#: The sides of the windows that a network sees, in pixels: MAT takes multiples of 512, and 1024 need 2 GB (LaMa) to 8 GB (MAT).
WINDOWS = 512, 1024

#: The least that is seen around a hole. Holes nearer to each other than half of it are filled together.
CONTEXT = 64

#: Below it a mask does not count: it is what scaling and JPEG leave of a black one.
LEAST = 0.05

#: Rows and columns of an image.
_Area = tuple[slice, slice]


class Inpainter(Protocol):
    """A network that fills holes in any image."""

    def fill(self, images: Tensor, holes: Tensor) -> Tensor:
        """Images (N, 3, h, w) RGB in [0, 1] and holes (N, 1, h, w) of 0 and 1 -> images with something in the holes."""
        ...


def fill_holes(images: Tensor, holes: Tensor, inpainter: Inpainter, tick: Tick = no_tick) -> Tensor:
    """Images (B, 3, H, W) RGB in [0, 1] with their holes filled. Where `holes` is below `LEAST` pixels are bit-identical.

    A hole larger than a window is filled piece by piece, from what is known inwards. Black-and-white images stay so.

    Args:
        holes: (1 or B, 1, H, W) in [0, 1]; a ramp fades the filling into the known.
        tick: progress in windows, see `runtime.progress.Tick`.
    """
    unknown = (holes > LEAST)[:, 0].cpu().numpy()
    unknown = [unknown[index if len(unknown) > 1 else 0].copy() for index in range(len(images))]
    areas = [list(_areas(mask)) for mask in unknown]
    result, done, total = images.clone(), 0, sum(map(len, areas))
    tick(done, total)
    for image, left, own in zip(result, unknown, areas, strict=True):
        grey = bool((image == image[:1]).all())
        for area in own:
            _fill(image, left, area, inpainter, grey)
            done += 1
            tick(done, total)
    return torch.where(holes > LEAST, torch.lerp(images, result, holes.to(images)), images)


def _fill(image: Tensor, left: np.ndarray, area: _Area, inpainter: Inpainter, grey: bool) -> None:
    """Fill what is left (H, W) of the holes of an image (3, H, W) in one area, in place, from the window around it."""
    if not left[area].any():
        return
    window = _window(area, left.shape)
    piece = image[(None, slice(None), *window)].float()
    holes = torch.from_numpy(left[window]).to(piece)[None, None]
    filled = check_finite(inpainter.fill(piece, holes), inpainter, piece)[0].to(image)
    filled = filled.mean(0, keepdim=True).expand_as(filled) if grey else filled
    inner = tuple(slice(part.start - seen.start, part.stop - seen.start) for part, seen in zip(area, window, strict=True))
    region = image[(slice(None), *area)]
    region.copy_(torch.where(holes[0][(slice(None), *inner)] > 0, filled[(slice(None), *inner)], region))
    left[area] = False


def _areas(unknown: np.ndarray) -> Iterator[_Area]:
    """The areas of a mask (H, W) that are filled one after the other: holes with those near them, or pieces of large ones."""
    near = cv2.dilate(unknown.astype(np.uint8), np.ones((CONTEXT + 1, CONTEXT + 1), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(near)
    for left, top, width, height, _ in boxes[1:]:
        rows, columns = (np.flatnonzero(unknown[top : top + height, left : left + width].any(axis)) for axis in (1, 0))
        area = slice(top + rows[0], top + rows[-1] + 1), slice(left + columns[0], left + columns[-1] + 1)
        if max(part.stop - part.start for part in area) + 2 * CONTEXT <= WINDOWS[-1]:
            yield area
            continue
        pieces = [(rows, columns) for rows in _cut(area[0]) for columns in _cut(area[1])]
        yield from sorted((piece for piece in pieces if unknown[piece].any()), key=lambda piece: unknown[piece].mean())


def _cut(part: slice) -> list[slice]:
    """Rows or columns in pieces of half the largest window."""
    step = WINDOWS[-1] // 2
    return [slice(start, min(start + step, part.stop)) for start in range(part.start, part.stop, step)]


def _window(area: _Area, shape: tuple[int, ...]) -> _Area:
    """The window in an image of a shape (H, W) that is seen for an area: around it, and as far as possible inside the image."""
    needed = max(part.stop - part.start for part in area) + 2 * CONTEXT
    side = next((side for side in WINDOWS if side >= needed), WINDOWS[-1])

    def around(part: slice, length: int) -> slice:
        start = max(0, min((part.start + part.stop - side) // 2, length - side))
        return slice(start, min(start + side, length))

    return around(area[0], shape[0]), around(area[1], shape[1])
