"""Compose the frames for the encoder: the source's samples, with new pixels where they are given."""

from dataclasses import replace
from fractions import Fraction

import av
import torch
from av.filter import Graph
from torch import Tensor

from . import codecs, planes
from .probe import ANIMATIONS, Video
from .reader import Frame
from .time_range import TimeRange

_LIMITED = 1  # AVColorRange

_EVEN = 64  # pixels: a side that every chroma subsampling divides

_TAPE = (1, 4)  # luma pixels per chroma sample of 4:1:1


class FrameComposer:
    """Composes frames of one size and pixel format for an encoder.

    Attributes:
        video: the source, with the new frame rate where there is one.
        size: (H, W) of the encoded frames, in storage orientation: the source's, or larger.
        kind: pixel format of the source, height, width and rate of the encoded frames.
        pixel_format: of the encoded frames, FFmpeg's name.
        colours: the colour space of their samples.
        interlaced: whether they are encoded as two fields each.
        notices: sentences on properties of the source that the encoder cannot preserve.
    """

    def __init__(
        self,
        video: Video,
        window: TimeRange,
        encoder: codecs.Encoder,
        first: Frame,
        image: Tensor | None,
        rate: Fraction | None = None,
        container: codecs.Container | None = None,
    ) -> None:
        """`first` and `image` are the first to be composed; `window` is the time range that is read, `rate` a new frame rate.

        The notices name a codec of `container` that keeps frames of an odd size as they are, where there is one.

        Raises:
            ValueError: the encoder does not support frames of this size.
        """
        self.video, self._window, self._rate = video, window, rate
        if rate is not None:
            self.video = replace(video, rate=rate, time_base=Fraction(1, rate.numerator))
        self.size = self._stored_size(image)
        source = planes.planar(first.raw).format
        self.kind = source.name, *self.size, self.video.rate
        try:
            self.pixel_format = codecs.pixel_format(encoder, source.name, *self.size)
        except ValueError as error:
            raise ValueError(f"{error} {container.advice(*self.kind) if container else ''}".rstrip()) from None
        target = av.VideoFormat(self.pixel_format, 16, 16)
        self.colours = video.colours
        if source.is_rgb and not target.is_rgb:
            self.colours = replace(video.colours, matrix=video.colours.for_size(*self.size), range=_LIMITED)
        fields = self.size[0] % (2 * planes.subsampling(target)[0]) == 0  # x264: each has whole rows of chroma
        self.interlaced = video.interlaced and encoder.interlaced and fields and self.size == video.stored_size
        transparent = video.alpha or (planes.has_alpha(source) and video.container not in ANIMATIONS)
        self.notices = _losses(encoder.name, source, target, transparent)
        even = codecs.pixel_format(encoder, source.name, _EVEN, _EVEN)
        if _layout(self.pixel_format)[1] != _layout(source.name)[1] == _layout(even)[1]:
            better = [codec for codec in container.codecs if self._keeps(codec, source.name)] if container else []
            self.notices.append(
                f"{encoder.name} holds this size only with a chroma sample for every pixel (4:4:4), which some players do not "
                f"play.{f' {better[0]} keeps such sizes as they are.' if better else ''}"
            )
        if video.interlaced and not self.interlaced:
            self.notices.append("The source is interlaced (two fields a frame): its frames are written as progressive ones.")
        if video.hdr:
            self.notices.append("HDR: colours and their tags are kept, but not the metadata on the mastering display.")
        self._graph: Graph | None = None

    @torch.inference_mode()
    def compose(self, frame: Frame, image: Tensor | None = None, mask: Tensor | None = None) -> av.VideoFrame:
        """The frame for the encoder, see `VideoWriter.write`; the source's frame is not modified.

        Raises:
            ValueError: image or mask differ in size from those before, or from each other.
        """
        orientation = self.video.orientation
        if self.size != self._stored_size(image):
            height, width = orientation.size(self.size)
            found = "a frame without an image" if image is None else f"an image of {_size_text(image)}"
            raise ValueError(f"Got {found} in a video of {width} x {height}, expected the same size for every frame.")
        if image is not None and mask is not None and mask.shape[-2:] != image.shape[-2:]:
            raise ValueError(f"A mask of {_size_text(mask)} for an image of {_size_text(image)}, expected the same size.")
        source = planes.planar(frame.raw)
        if image is None or self.size == self.video.stored_size:
            result = self._converted(source)
        else:
            result, mask = av.VideoFrame(self.size[1], self.size[0], self.pixel_format), None
            planes.copy_alpha(source, result)
        if image is not None:
            result.make_writable()
            mask = None if mask is None else orientation.stored(mask)
            samples = None if mask is None or result.format.name != source.format.name else frame.samples(image.device)
            planes.write(result, self.colours, orientation.stored(image), mask, samples)
        result.pict_type = 0  # AV_PICTURE_TYPE_NONE: the encoder chooses its own keyframes
        result.time_base = self.video.time_base
        result.pts = round((frame.time + self._window.lead) / self.video.time_base)
        result.duration = (frame.raw.duration or 0) if self._rate is None else self._rate.denominator
        if self._window.seconds is not None:
            result.duration = min(result.duration, round((self._window.seconds - frame.time) / self.video.time_base))
        return result

    def _keeps(self, codec: str, pixel_format: str) -> bool:
        """Whether a codec encodes frames of this size and rate in their own pixel format, and as the fields that they are."""
        encoder = codecs.find_encoder(codec, self.video.rate)
        if encoder is None or min(self.size) < encoder.min_side or (self.video.interlaced and not encoder.interlaced):
            return False
        return _layout(codecs.pixel_format(encoder, pixel_format, *self.size)) == _layout(pixel_format)

    def _stored_size(self, image: Tensor | None) -> tuple[int, int]:
        """(H, W) in storage orientation of a frame with the new pixels `image`."""
        return self.video.stored_size if image is None else self.video.orientation.size((image.shape[-2], image.shape[-1]))

    def _converted(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The source's planar frame in the encoder's pixel format, samples bit-exact where both formats allow it."""
        if frame.format.name == self.pixel_format:
            return self._reference(frame)
        if frame.format.is_rgb and not self.pixel_format.startswith("gbr"):
            result = av.VideoFrame(frame.width, frame.height, self.pixel_format)
            planes.write(result, self.colours, planes.image(frame, self.video.colours))
            planes.copy_alpha(frame, result)
            return result
        matrix, colour_range = self.colours.for_size(*self.size), self.colours.range or _LIMITED
        return frame.reformat(  # another bit depth or chroma subsampling in the same colour space
            format=self.pixel_format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=colour_range,
            dst_color_range=colour_range,
        )

    def _reference(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A new reference (av_frame_ref) to the same samples with its own properties, through an empty filter graph."""
        if self._graph is None:
            self._graph = graph = Graph()
            unit = frame.time_base or self.video.time_base
            begin = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=unit)
            begin.link_to(graph.add("buffersink"))
            graph.configure()
        self._graph.vpush(frame)
        return self._graph.vpull()


def _size_text(image: Tensor) -> str:
    return f"{image.shape[-1]} x {image.shape[-2]}"


def _layout(pixel_format: str) -> tuple[int, tuple[int, int]]:
    """Bits per sample, and luma pixels per chroma sample, vertical and horizontal."""
    pixels = av.VideoFormat(pixel_format, 16, 16)
    return pixels.components[0].bits, planes.subsampling(pixels)


def _losses(encoder: str, source: av.VideoFormat, target: av.VideoFormat, transparent: bool) -> list[str]:
    """Sentences on what the pixel format `target` cannot preserve of the source's planar one, and of its transparency."""
    notices = []
    before, after = _layout(source.name), _layout(target.name)
    if transparent and not planes.has_alpha(target):
        notices.append("The source's transparency is left out: the result's codec has none.")
    if before[0] > after[0]:
        notices.append(f"The source has {before[0]} bits per sample, {encoder} holds {after[0]}: rounded.")
    if source.is_rgb and not target.is_rgb:
        notices.append(f"The source stores RGB, {encoder} YUV: converted once.")
    elif len(source.components) >= 3 and any(new > old for old, new in zip(before[1], after[1], strict=True)):
        notices.append(f"{encoder} holds fewer chroma samples than the source ({target.name}, not {source.name}).")
    elif before[1] == _TAPE and before[1] != after[1]:
        notices.append(f"{encoder} does not hold the 4:1:1 chroma of DV: it is interpolated to {target.name}.")
    return notices
