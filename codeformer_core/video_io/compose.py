"""Compose the frames for the encoder: the source's samples, with new pixels where they are given."""

from dataclasses import replace
from fractions import Fraction

import av
import av.filter
import numpy as np
import torch
from torch import Tensor

from . import codecs, planes
from .probe import Video
from .reader import Frame
from .time_range import TimeRange

_LIMITED = 1  # AVColorRange


class FrameComposer:
    """Composes frames of one size and pixel format for an encoder.

    Attributes:
        video: the source.
        size: (H, W) of the encoded frames, in storage orientation: the source's, or larger.
        pixel_format: of the encoded frames, FFmpeg's name.
        colours: the colour space of their samples.
        notices: sentences on properties of the source that the encoder cannot preserve.
    """

    def __init__(self, video: Video, window: TimeRange, encoder: codecs.Encoder, first: Frame, image: Tensor | None) -> None:
        """`first` and `image` are the first to be composed; `window` is the time range that is read.

        Raises:
            ValueError: the encoder does not support frames of this size.
        """
        self.video, self._window = video, window
        self.size = video.stored_size if image is None else _stored_size(video, image)
        source = planes.planar(first.raw).format
        self.pixel_format = codecs.pixel_format(encoder, source.name, *self.size)
        target = av.VideoFormat(self.pixel_format, 16, 16)
        self.colours = video.colours
        if source.is_rgb and not target.is_rgb:
            self.colours = replace(video.colours, matrix=video.colours.for_size(*self.size), range=_LIMITED)
        self.notices = _lost(encoder.name, first.raw.format, source, target)
        if video.interlaced and not (encoder.interlaced and self._same_size):
            self.notices.append("The source's frames are two fields each (interlaced): they are written as whole pictures.")
        if video.hdr:
            self.notices.append("HDR: colours are kept and marked, but not the data on the display that the film was made on.")
        self._graph: av.filter.Graph | None = None

    @torch.inference_mode()
    def compose(self, frame: Frame, image: Tensor | None = None, mask: Tensor | None = None) -> av.VideoFrame:
        """The frame for the encoder, see `VideoWriter.write`; the source's frame is not modified.

        Raises:
            ValueError: image or mask differ in size from those before, or from each other.
        """
        orientation = self.video.orientation
        if self.size != (self.video.stored_size if image is None else _stored_size(self.video, image)):
            height, width = self.size[::-1] if orientation.swap else self.size
            found = "a frame without a picture" if image is None else f"a picture of {_size_text(image)}"
            raise ValueError(f"Got {found} in a video of {width} x {height}, expected the same size for every frame.")
        if image is not None and mask is not None and mask.shape[-2:] != image.shape[-2:]:
            raise ValueError(f"A mask of {_size_text(mask)} for a picture of {_size_text(image)}, expected the same size.")
        if image is None or self._same_size:
            whole = image is None or mask is not None  # the source's samples remain somewhere
            result = self._source(planes.planar(frame.raw), fill=whole)
            if image is not None:
                result.make_writable()
        else:
            result = av.VideoFrame(self.size[1], self.size[0], self.pixel_format)
        if image is not None and mask is not None and self._same_size:
            planes.blend(result, self.colours, orientation.stored(image), orientation.stored(mask))
        elif image is not None:
            planes.write(result, self.colours, orientation.stored(image))
        result.pict_type = 0  # AV_PICTURE_TYPE_NONE: the encoder chooses its own keyframes
        result.time_base = self.video.time_base
        result.pts = round(Fraction(frame.time) / self.video.time_base)
        result.duration = frame.raw.duration or 0
        if self._window.seconds is not None:
            result.duration = min(result.duration, round((self._window.seconds - frame.time) / self.video.time_base))
        return result

    @property
    def _same_size(self) -> bool:
        return self.size == self.video.stored_size

    def _source(self, frame: av.VideoFrame, fill: bool) -> av.VideoFrame:
        """The source's planar frame in the encoder's pixel format, samples bit-exact where both formats allow it."""
        name = frame.format.name
        if name == self.pixel_format:
            return self._reference(frame)
        if frame.format.is_rgb and not self.pixel_format.startswith("gbr"):
            result = av.VideoFrame(frame.width, frame.height, self.pixel_format)
            if fill:
                planes.write(result, self.colours, planes.rgb(frame, self.video.colours))
            return result
        plain = name.replace("yuvj", "yuv").replace("yuva", "yuv").replace("gbrap", "gbrp")
        if plain == self.pixel_format or name.startswith("gray"):
            return _copied(frame, self.pixel_format)
        return frame.reformat(  # another bit depth or chroma subsampling in the same colour space
            format=self.pixel_format,
            src_colorspace=self.colours.for_size(*self.size),
            dst_colorspace=self.colours.for_size(*self.size),
            src_color_range=self.colours.range or _LIMITED,
            dst_color_range=self.colours.range or _LIMITED,
        )

    def _reference(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A new reference (av_frame_ref) to the same samples with its own properties, through an empty filter graph."""
        if self._graph is None:
            self._graph = graph = av.filter.Graph()
            unit = frame.time_base or self.video.time_base
            begin = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=unit)
            end = graph.add("buffersink")
            begin.link_to(end)
            graph.configure()
        self._graph.vpush(frame)
        return self._graph.vpull()


def _copied(frame: av.VideoFrame, name: str) -> av.VideoFrame:
    """A planar frame copied to another format of the same layout; chroma that grey does not have is neutral."""
    result = av.VideoFrame(frame.width, frame.height, name)
    targets, sources = planes.arrays(result), planes.arrays(frame)
    shift = result.format.components[0].bits - frame.format.components[0].bits
    for index, target in enumerate(targets):
        if index < len(sources):
            target[:] = sources[index].astype(np.int32) << shift if shift >= 0 else sources[index] >> -shift
        else:
            target[:] = 2 ** (result.format.components[0].bits - 1)
    return result


def _stored_size(video: Video, image: Tensor) -> tuple[int, int]:
    """(H, W) of an image (1, 3, H, W) in storage orientation."""
    height, width = image.shape[-2:]
    return (width, height) if video.orientation.swap else (height, width)


def _size_text(image: torch.Tensor) -> str:
    return f"{image.shape[-1]} x {image.shape[-2]}"


def _lost(encoder: str, raw: av.VideoFormat, source: av.VideoFormat, target: av.VideoFormat) -> list[str]:
    """Sentences on what the pixel format `target` cannot preserve of the source."""
    notices = []
    bits = [pixels.components[0].bits for pixels in (raw, target)]
    if any(component.is_alpha for component in raw.components):
        notices.append("The source's transparency is left out: the result's codec has none.")
    if bits[0] > bits[1]:
        notices.append(f"The source has {bits[0]} bits per sample, {encoder} holds {bits[1]}: rounded.")
    if source.is_rgb and not target.is_rgb:
        notices.append(f"The source stores RGB, {encoder} luma and colour differences: converted once.")
    elif len(source.components) >= 3:
        before, after = ((pixels.chroma_height(16), pixels.chroma_width(16)) for pixels in (source, target))
        if after > before:
            notices.append(
                f"{encoder} holds this size only with a colour sample for every pixel (4:4:4), which some players do not play. "
                "av1 keeps such sizes as they are."
            )
        elif after < before:
            notices.append(f"{encoder} holds fewer colour samples than the source ({target.name}, not {source.name}).")
    return notices
