"""The sample planes of a decoded frame: as RGB tensors in display orientation, and with pixels replaced under a mask."""

from typing import NamedTuple

import av
import numpy as np
import torch
from av.codec import find_best_pix_fmt_of_list
from torch import Tensor
from torch.nn import functional

from ..runtime.transfer import as_float, read_back, read_samples, upload
from .yuv import WEIGHTS, ColourSpace, SampleFormat

# Planar pixel formats; between them they hold every packed and semi-planar one without loss.
_KINDS = ("gray", "yuv420p", "yuv422p", "yuv444p", "yuva444p", "gbrp", "gbrap")

_PLANAR = [kind + depth for kind in _KINDS for depth in ("", "10le", "12le", "16le")]


class Orientation(NamedTuple):
    """From storage to display orientation: transpose, then flip. One of the eight orientations of a display matrix."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) as stored -> as displayed, or back."""
        return (size[1], size[0]) if self.swap else size

    def upright(self, planes: Tensor) -> Tensor:
        """(..., H, W) as stored -> as displayed."""
        return self._flipped(planes.transpose(-1, -2) if self.swap else planes)

    def stored(self, planes: Tensor) -> Tensor:
        """(..., H, W) as displayed -> as stored."""
        planes = self._flipped(planes)
        return planes.transpose(-1, -2) if self.swap else planes

    def _flipped(self, planes: Tensor) -> Tensor:
        axes = [axis for axis, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        return planes.flip(axes) if axes else planes


def is_planar(pixels: av.VideoFormat) -> bool:
    """Whether each component has a plane of its own, with a whole number of bytes for each sample."""
    planes = {component.plane for component in pixels.components}
    return len(planes) == len(pixels.components) and not pixels.has_palette and not pixels.is_bit_stream


def has_alpha(pixels: av.VideoFormat) -> bool:
    """Whether one of the components is transparency."""
    return any(component.is_alpha for component in pixels.components)


def is_opaque(frame: av.VideoFrame) -> bool:
    """Whether the transparency of a frame, where it has any, is that of opaque pixels everywhere."""
    frame = planar(frame)
    bits = frame.format.components[-1].bits
    return not has_alpha(frame.format) or bool((_views(frame)[-1] == 2**bits - 1).all())


def planar(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in a planar pixel format: itself where it is planar, else a lossless copy."""
    if is_planar(frame.format):
        return frame
    best, _ = find_best_pix_fmt_of_list(_PLANAR, frame.format, has_alpha=True)
    return frame.reformat(format=best.name if best else None)


def subsampling(pixels: av.VideoFormat) -> tuple[int, int]:
    """Luma pixels per chroma sample, vertical and horizontal; (1, 1) for RGB and grey."""
    return 16 // pixels.chroma_height(16), 16 // pixels.chroma_width(16)


def sample_format(frame: av.VideoFrame, colours: ColourSpace) -> SampleFormat:
    """The layout and colour space of the samples of a planar frame."""
    pixels = frame.format
    weights = WEIGHTS[colours.for_size(frame.height, frame.width)]
    return SampleFormat(pixels.components[0].bits, pixels.is_rgb, subsampling(pixels), colours.full, weights)


def arrays(frame: av.VideoFrame) -> list[np.ndarray]:
    """The planes (h, w) of a planar frame as views into its memory, without alpha: one when grey, else three."""
    return _views(frame)[: sum(not component.is_alpha for component in frame.format.components)]


def _views(frame: av.VideoFrame) -> list[np.ndarray]:
    """All planes (h, w), alpha last."""
    pixels, views = frame.format, []
    dtype = np.uint8 if pixels.components[0].bits <= 8 else np.dtype(">u2" if pixels.is_big_endian else "<u2")
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)  # type: ignore[arg-type] # it is a buffer
        views.append((rows[::-1] if plane.line_size < 0 else rows)[:, : plane.width])
    return views


def copy_alpha(source: av.VideoFrame, target: av.VideoFrame) -> None:
    """Copy the transparency of a planar frame into another of any size, changed in place; opaque where the source has none."""
    if not has_alpha(target.format):
        return
    *_, plane = _views(target)
    bits, alpha = target.format.components[-1].bits, torch.ones(1, 1, *plane.shape)
    if has_alpha(source.format):
        levels = 2.0 ** source.format.components[-1].bits - 1
        stored = torch.from_numpy(_views(source)[-1].astype(np.float32))[None, None] / levels
        alpha = functional.interpolate(stored, plane.shape, mode="bilinear") if stored.shape != alpha.shape else stored
    _store([alpha[0, 0] * (2**bits - 1)], [plane], bits)


def image(
    frame: av.VideoFrame,
    colours: ColourSpace,
    orientation: Orientation = Orientation(),
    samples: list[Tensor] | None = None,
) -> Tensor:
    """(1, 3, H, W) float32 RGB in [0, 1], in display orientation, of a decoded frame.

    Args:
        samples: its `uploaded`, on whose device the image is then.
    """
    frame = planar(frame)
    rgb = sample_format(frame, colours).to_rgb(uploaded(frame, "cpu") if samples is None else samples)
    return orientation.upright(rgb).contiguous()


def uploaded(frame: av.VideoFrame, device: torch.device | str) -> list[Tensor]:
    """Copies of the planes (h, w) on a device, without alpha, see `transfer.upload`."""
    return upload(arrays(planar(frame)), device)


def write(
    frame: av.VideoFrame,
    colours: ColourSpace,
    pixels: Tensor,
    mask: Tensor | None = None,
    samples: list[Tensor] | None = None,
) -> None:
    """Replace the pixels of a planar frame of the same size under a mask; all other samples stay bit-identical.

    Where the mask is below 1, the rest is blended from the source's own samples, so that neither the conversion to RGB nor
    chroma subsampling shows where the mask is thin.

    Args:
        frame: changed in place.
        colours: the colour space of its samples.
        pixels: (1, 3, H, W) RGB in [0, 1], in storage orientation.
        mask: (1, 1, H, W) in [0, 1], in storage orientation; None replaces all of the frame.
        samples: the frame's `uploaded` on the device of `pixels`, where they are there already.
    """
    layout, targets = sample_format(frame, colours), arrays(frame)
    if mask is None:
        _store(layout.from_rgb(pixels, len(targets)), targets, layout.bits)
        return
    covered = read_back(*(mask[0, 0].amax(axis) for axis in (1, 0)))
    rows, columns = (torch.nonzero(line)[:, 0].tolist() for line in covered)
    if not rows:
        return
    down, across = layout.subsampling  # aligned to the chroma grid, with a margin of one chroma sample for the interpolation
    top, left = max(0, (rows[0] // down - 1) * down), max(0, (columns[0] // across - 1) * across)
    bottom = min(frame.height, (rows[-1] // down + 2) * down)
    right = min(frame.width, (columns[-1] // across + 2) * across)
    areas = [(slice(top, bottom), slice(left, right))]
    areas += [(slice(top // down, -(-bottom // down)), slice(left // across, -(-right // across)))] * (len(targets) - 1)
    parts = [plane[area] for plane, area in zip(targets, areas, strict=True)]
    if samples is None:
        source = upload(parts, pixels.device)
    else:
        source = [plane[area] for plane, area in zip(samples, areas, strict=True)]
    part = pixels[:, :, top:bottom, left:right]
    weight = mask[:, :, top:bottom, left:right].to(pixels.device, torch.float32).clamp(0, 1)
    new = layout.from_rgb(part, len(parts))
    before, mixed = layout.from_rgb(layout.to_rgb(source), len(parts)), []
    source = [as_float(plane) for plane in source]
    for index in range(len(parts)):
        if index == 0 or layout.subsampling == (1, 1):
            share, touched = weight[0, 0], weight[0, 0] > 0
        else:
            share = layout.subsample(weight[0])[0]
            touched = functional.max_pool2d(weight, layout.subsampling, ceil_mode=True)[0, 0] > 0
        blended = new[index] + (1 - share) * (source[index] - before[index])
        mixed.append(torch.where(touched, blended, source[index]))
    _store(mixed, parts, layout.bits)


def _store(samples: list[Tensor], targets: list[np.ndarray], bits: int) -> None:
    """Write sample values (h, w) into planes, rounded and clipped to `bits`."""
    for target, plane in zip(targets, read_samples(samples, bits), strict=True):
        target[:] = plane
