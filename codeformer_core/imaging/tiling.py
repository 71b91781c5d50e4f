"""Run a super-resolution network over an image tile by tile, halving the tiles when memory runs out."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product, repeat
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..runtime.finite import check_finite
from ..runtime.out_of_memory import is_out_of_memory
from ..runtime.progress import Tick, no_tick
from . import buffers
from .resize import scaled_size

#: The reference's --bg_tile and RealESRGANer's tile_pad: side of a tile and context around it, in input pixels.
TILE = 400

OVERLAP = 40

#: Tiles and their context begin and end at multiples of this many pixels, except at the image border, so that the windows of a
#: transformer are those of the whole image. Measured on the tests' DCTLSA x2 (windows of 16), tile 64, overlap 40, 32 pixels
#: and more from the border: the mean difference from the untiled image falls from 0.27 of 255 (no grid) and 0.21 (8) to 0.002,
#: the largest from 9.8 and 6.3 to 0.2. Feathered seams do not change those numbers, so tiles are not feathered.
GRID = 16

#: Below this side, in pixels, a tile is nearly all context, and smaller ones save no more memory.
SMALLEST = 64


class ImageModel(Protocol):
    """A super-resolution model for one image: an `upscaler.Upscaler`, a spandrel model, or the host's wrapper around one."""

    @property
    def scale(self) -> int:
        """How many times larger the result is; 1 for a network that only cleans."""
        ...

    def __call__(self, image: Tensor, /) -> Tensor:
        """(1, 3, h, w) float32 RGB in [0, 1] -> (1, 3, h * scale, w * scale) in [0, 1], on any device."""
        ...


#: Rows and columns of an image, each (start, stop) in input pixels.
_Region = tuple[tuple[int, int], tuple[int, int]]


@torch.no_grad()
def upscale_images(
    images: Tensor,
    model: ImageModel,
    upscale: float,
    tile: int = TILE,
    overlap: int = OVERLAP,
    tick: Tick = no_tick,
) -> Tensor:
    """Images `upscale` times as large: through the model once, then resized where its scale is another, as in the reference.

    The reference resizes 8-bit values with OpenCV's LANCZOS4. Bicubic, which every device has, is within 50 dB of it when it
    enlarges. When it shrinks it is antialiased, which LANCZOS4 there is not: 34 dB (from a 4x model to 2) to 47 dB. Lanczos
    with antialiasing would be as far off (35 dB): the difference is the moire that the reference leaves in.

    Args:
        images: (B, 3, H, W) RGB in [0, 1]; not modified.
        model: see `ImageModel`.
        upscale: any number above 0; the model runs at 1 too, where it cleans.
        tile, overlap, tick: see `run_tiled`.

    Returns:
        (B, 3, int(H * upscale), int(W * upscale)) in [0, 1], with the images' device and dtype. Beyond the result, one image of
        the model's size and one tile are in memory.
    """
    size = scaled_size(images, upscale)
    batch, channels, height, width = images.shape
    full = (height * model.scale, width * model.scale)
    if size == full:
        return run_tiled(images, model, model.scale, tile, overlap, tick)
    result = buffers.empty(images, batch, channels, *size)
    canvas = buffers.empty(images, channels, *full, dtype=torch.float32)
    shrinks = size[0] < full[0] or size[1] < full[1]
    for index in _fill_canvases(images, repeat(canvas), model, model.scale, tile, overlap, tick):
        resized = F.interpolate(canvas[None], size=size, mode="bicubic", antialias=shrinks)
        result[index] = resized[0].clamp_(0, 1)
    return result


@torch.no_grad()
def run_tiled(
    images: Tensor,
    run: Callable[[Tensor], Tensor],
    scale: int,
    tile: int = TILE,
    overlap: int = OVERLAP,
    tick: Tick = no_tick,
) -> Tensor:
    """Run a network over images tile by tile, so that memory depends on the tile and not on the image.

    Every tile is run with context around it, which is then cropped. When memory runs out, the tile that failed and all later
    ones are halved; finished ones are kept.

    Args:
        images: (B, C, H, W) float; not modified.
        run: (1, C, h, w) float32, a copy -> (1, C, h * scale, w * scale), on any device.
        scale: how many times larger the result of `run` is.
        tile: the largest side of a tile in pixels, rounded down to the grid of 16; 0 for whole images.
        overlap: pixels of context on every side of a tile that is not the image's border, rounded up to the grid.
        tick: progress in tiles, see `runtime.progress.Tick`; the total grows when the tiles become smaller.

    Returns:
        (B, C, H * scale, W * scale), with the images' device and dtype.

    Raises:
        ValueError: a tile or overlap that is no size.
        RuntimeError: memory runs out even for the smallest tile; or the result has another size or values that are not finite.
    """
    batch, channels, height, width = images.shape
    result = buffers.empty(images, batch, channels, height * scale, width * scale)
    for _ in _fill_canvases(images, result, run, scale, tile, overlap, tick):
        pass
    return result


def _fill_canvases(
    images: Tensor,
    canvases: Iterable[Tensor],
    run: Callable[[Tensor], Tensor],
    scale: int,
    tile: int,
    overlap: int,
    tick: Tick,
) -> Iterator[int]:
    """Fill one canvas (C, H * scale, W * scale) for each image, and yield the image's index when it is full."""
    if tile < 0 or 0 < tile < GRID or overlap < 0:
        raise ValueError(
            f"Found a tile of {tile} pixels and an overlap of {overlap}. Expected a tile of {GRID} or more, or 0 for whole "
            f"images, and an overlap of 0 or more: {TILE} and {OVERLAP} suit most computers."
        )
    whole = (0, images.shape[2]), (0, images.shape[3])
    done = 0
    tick(done, len(images) * len(_cut(whole, tile)))
    for index, canvas in zip(range(len(images)), canvases, strict=False):
        later = len(images) - index - 1
        regions = _cut(whole, tile)
        while regions:
            region = regions.pop(0)
            if _fill(canvas, images[index], region, run, scale, overlap):
                done += 1
                tick(done, done + len(regions) + later * len(_cut(whole, tile)))
            else:
                tile = _half(region)
                regions = [part for large in (region, *regions) for part in _cut(large, tile)]
        yield index


def _half(region: _Region) -> int:
    return max(stop - start for start, stop in region) // 2


def _cut(region: _Region, tile: int) -> list[_Region]:
    """A region cut into tiles of about equal size, at most `tile` a side, that begin on the grid; uncut for a tile of 0."""
    rows, columns = (_spans(start, stop, tile) for start, stop in region)
    return list(product(rows, columns))


def _spans(start: int, stop: int, tile: int) -> list[tuple[int, int]]:
    length = stop - start
    if tile == 0 or length <= tile:
        return [(start, stop)]
    count = -(-length // (tile // GRID * GRID))
    step = _up_to_grid(-(-length // count))
    return [(begin, min(begin + step, stop)) for begin in range(start, stop, step)]


def _up_to_grid(pixels: int) -> int:
    return -(-pixels // GRID) * GRID


def _fill(canvas: Tensor, image: Tensor, region: _Region, run: Callable[[Tensor], Tensor], scale: int, overlap: int) -> bool:
    """Run one region of an image (C, H, W) into its place on the canvas. False when memory ran out and halving may help."""
    (y0, y1), (x0, x1) = region
    top, left = (max(0, start - overlap) // GRID * GRID for start in (y0, x0))
    bottom, right = min(image.shape[1], _up_to_grid(y1 + overlap)), min(image.shape[2], _up_to_grid(x1 + overlap))
    # A copy: some networks work in place. Contiguous, since the host's images have their channels last.
    piece = image[None, :, top:bottom, left:right].to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    try:
        output = run(piece)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if _half(region) < SMALLEST:
            raise RuntimeError(
                f"There is not enough memory to upscale even a tile of {2 * _half(region)} pixels. Close other programs, "
                "use a smaller upscaler, or upscale on the CPU."
            ) from error
        return False  # this releases the traceback, and with it the tensors of the failed call
    expected = (1, image.shape[0], piece.shape[2] * scale, piece.shape[3] * scale)
    if tuple(output.shape) != expected:
        raise RuntimeError(f"The upscaler gave a result of {tuple(output.shape)}, expected {expected}. Use another upscaler.")
    inside = canvas[:, y0 * scale : y1 * scale, x0 * scale : x1 * scale]
    y, x = (y0 - top) * scale, (x0 - left) * scale
    inside.copy_(output[0, :, y : y + inside.shape[1], x : x + inside.shape[2]])
    check_finite(inside, run, piece)
    return True
