"""The sample planes of a decoded frame: as tensors, turned upright, and with new pixels under a mask."""

from typing import NamedTuple

import av
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .yuv import ColourSpace, YUVSamples

# Formats whose samples lie side by side -> the one with a plane for each, which FFmpeg converts to without any loss.
_PLANAR = {
    "gray": "gray",
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "p010le": "yuv420p10le",
    "p210le": "yuv422p10le",
    "yuyv422": "yuv422p",
    "yvyu422": "yuv422p",
    "uyvy422": "yuv422p",
    "rgb48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "rgba64le": "gbrap16le",
    "rgba64be": "gbrap16le",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
}


class Rotation(NamedTuple):
    """How a stored picture becomes upright: rows and columns are swapped first, then reversed."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def upright(self, planes: Tensor) -> Tensor:
        """(..., H, W) as stored -> as displayed."""
        planes = planes.transpose(-1, -2) if self.swap else planes
        flips = [axis for axis, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        return planes.flip(flips) if flips else planes

    def stored(self, planes: Tensor) -> Tensor:
        """(..., H, W) as displayed -> as stored."""
        flips = [axis for axis, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        planes = planes.flip(flips) if flips else planes
        return planes.transpose(-1, -2) if self.swap else planes


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame with one plane for each kind of sample: itself where it is so already, else a lossless copy."""
    name = frame.format.name
    if name in _PLANAR and _PLANAR[name] != name:
        return frame.reformat(format=_PLANAR[name])
    if frame.format.is_rgb and not name.startswith("gbr"):  # packed 8-bit kinds and palettes
        return frame.reformat(format="gbrp")
    return frame


def samples(frame: av.VideoFrame, colours: ColourSpace) -> YUVSamples:
    """How the samples of a planar frame are meant."""
    pixels = frame.format
    planes = len(pixels.components)
    step = (1, 1)
    if planes >= 3 and not pixels.is_rgb:
        step = (-(-frame.height // frame.planes[1].height), -(-frame.width // frame.planes[1].width))
    weights = colours.weights(frame.height, frame.width)
    return YUVSamples(pixels.components[0].bits, pixels.is_rgb, step, colours.full, weights)


def arrays(frame: av.VideoFrame) -> list[np.ndarray]:
    """The planes (h, w) of a planar frame as views into its memory, without alpha: one when grey, else three."""
    kind = np.dtype(np.uint8 if frame.format.components[0].bits <= 8 else np.uint16)
    if frame.format.name.endswith("be"):
        kind = kind.newbyteorder(">")
    colours = [component for component in frame.format.components if not component.is_alpha]
    views = []
    for plane in list(frame.planes)[: len(colours)]:
        rows = np.frombuffer(memoryview(plane), kind).reshape(plane.height, -1)  # type: ignore[arg-type] # it is a buffer
        views.append((rows[::-1] if plane.line_size < 0 else rows)[:, : plane.width])
    return views


def tensors(frame: av.VideoFrame, device: torch.device | str = "cpu") -> list[Tensor]:
    """The planes (h, w) of a planar frame as tensors (copies): uint8, or int32 for more bits."""
    return [torch.tensor(plane if plane.itemsize == 1 else plane.astype(np.int32), device=device) for plane in arrays(frame)]


def image(frame: av.VideoFrame, colours: ColourSpace, turn: Rotation, device: torch.device | str = "cpu") -> Tensor:
    """(1, 3, H, W) float32 RGB in [0, 1], upright, of a decoded frame."""
    frame = planar(frame)
    return turn.upright(samples(frame, colours).to_rgb(tensors(frame, device))).contiguous()


def fill(frame: av.VideoFrame, colours: ColourSpace, pixels: Tensor) -> None:
    """Put pixels (1, 3, H, W) RGB in [0, 1], as stored, into a planar frame of that size."""
    meant, targets = samples(frame, colours), arrays(frame)
    for target, plane in zip(targets, meant.from_rgb(pixels, len(targets)), strict=True):
        target[:] = _rounded(plane, meant.bits)


def put(frame: av.VideoFrame, colours: ColourSpace, pixels: Tensor, mask: Tensor) -> None:
    """Replace what is under a mask in a planar frame of the same size; every other sample keeps its bits.

    The mask says how much of the source is left, and that part is blended from the source's own samples, so that neither
    the way to RGB nor shared colour samples are felt where the mask is thin.

    Args:
        frame: as stored; changed in place.
        colours: how its samples are meant.
        pixels: (1, 3, H, W) RGB in [0, 1], as stored.
        mask: (1, 1, H, W) in [0, 1], as stored.
    """
    meant, targets = samples(frame, colours), arrays(frame)
    rows, columns = (torch.nonzero(mask[0, 0].amax(axis))[:, 0].tolist() for axis in (1, 0))
    if not rows:
        return
    down, across = meant.step  # the part begins and ends between chroma samples, with one more around it for their enlargement
    top, left = max(0, (rows[0] // down - 1) * down), max(0, (columns[0] // across - 1) * across)
    bottom = min(frame.height, (rows[-1] // down + 2) * down)
    right = min(frame.width, (columns[-1] // across + 2) * across)
    parts = [targets[0][top:bottom, left:right]]
    for plane in targets[1:]:
        parts.append(plane[top // down : -(-bottom // down), left // across : -(-right // across)])
    source = [torch.tensor(part.astype(np.int32), device=pixels.device) for part in parts]
    part = pixels[:, :, top:bottom, left:right]
    weight = mask[:, :, top:bottom, left:right].to(pixels.device, torch.float32).clamp(0, 1)
    new = meant.from_rgb(part, len(parts))
    before = meant.from_rgb(meant.to_rgb(source), len(parts))
    for index, target in enumerate(parts):
        if index == 0 or meant.step == (1, 1):
            share, touched = weight[0, 0], weight[0, 0] > 0
        else:
            share = meant.shrink(weight[0])[0]
            touched = functional.max_pool2d(weight, meant.step, ceil_mode=True)[0, 0] > 0
        blended = new[index] + (1 - share) * (source[index] - before[index])
        target[:] = np.where(touched.cpu().numpy(), _rounded(blended, meant.bits), target)


def _rounded(plane: Tensor, bits: int) -> np.ndarray:
    """Sample values (h, w) as whole numbers that a file can hold."""
    kind = np.uint8 if bits <= 8 else np.uint16
    return plane.round().clamp(0, 2**bits - 1).cpu().numpy().astype(kind)
