"""The encoder of the new video stream: composed frames in, packets out."""

import os

import av
from av.container import OutputContainer

from ..runtime.scheduling import without_realtime
from .codecs import Container, Encoder
from .compose import FrameComposer

_FIELDS = 0x40000 | 0x20000000  # AV_CODEC_FLAG_INTERLACED_DCT and _ME

_ASSUMED_RATE = 30  # frames per second for rate control when the file does not say; PTS are kept anyway


class VideoEncoder:
    """Encodes the video stream of a file that is being written.

    Attributes:
        stream: the new stream.
        end: the PTS at which the last frame ends that was encoded.
    """

    def __init__(
        self,
        output: OutputContainer,
        container: Container,
        encoder: Encoder,
        settings: dict[str, str],
        composer: FrameComposer,
    ) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes its settings to the terminal past FFmpeg's log; 1 is errors only
        video, colours = composer.video, composer.colours
        stream = output.add_stream(encoder.name, rate=video.rate or _ASSUMED_RATE)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = composer.size
        self._format = stream.pix_fmt = encoder.accepts(composer.pixel_format)
        stream.time_base = video.time_base
        context = stream.codec_context
        context.time_base = video.time_base
        context.options = settings
        context.thread_type = "AUTO"  # PyAV's default makes x264 use sliced threads, which costs quality
        if composer.interlaced:
            context.flags |= _FIELDS
        context.color_range, context.colorspace = colours.range, colours.matrix
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        if video.sample_aspect_ratio:
            context.sample_aspect_ratio = video.sample_aspect_ratio
        if encoder.name == "libx265" and container.format in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # Apple's players know hvc1 only, not hev1
        if video.matrix is not None:
            stream.set_display_matrix(video.matrix)
        self.stream = stream
        self._durations: dict[int, int] = {}
        self.end = 0
        self._begin: tuple[int, int] | None = None  # PTS and DTS of the first packet
        self._held: list[av.Packet] = []  # the last packet, whose duration says in MP4 where the video ends
        self._in_decoding_order = not container.begins_at_zero

    def open(self) -> None:
        """Begin, at the first frame at the latest."""
        if not self.stream.codec_context.is_open:
            with without_realtime():
                self.stream.codec_context.open()

    def encode(self, frame: av.VideoFrame | None) -> list[av.Packet]:
        """The packets that are ready; None flushes the encoder."""
        if frame is not None and frame.pts is not None and frame.duration:
            self._durations[frame.pts] = frame.duration
            self.end = frame.pts + frame.duration
        self.open()
        packets = self.stream.encode(frame if frame is None else self._accepted(frame))
        for packet in packets:
            if packet.pts in self._durations:  # encoders derive it from the rate, and that of the last frame would be lost
                packet.duration = self._durations.pop(packet.pts)
        if self._begin is None and packets:
            self._begin = packets[0].pts or 0, packets[0].dts or 0
        packets = [*self._held, *packets]
        self._held = packets[-1:] if frame is not None else []
        if frame is None and packets and self._begin is not None:
            self.end_with(packets[-1], *self._begin, self.end)
        return packets[:-1] if frame is not None else packets

    def _accepted(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame with its samples in the order that the encoder takes."""
        if frame.format.name == self._format:
            return frame
        other = frame.reformat(format=self._format)
        other.pts, other.time_base, other.duration = frame.pts, frame.time_base, frame.duration
        return other

    def end_with(self, packet: av.Packet, first_pts: int, first_dts: int, end: int) -> None:
        """MP4 stores durations in decoding order: those from the first packet to this last one add up to that of the video."""
        if self._in_decoding_order and end > first_pts:
            left = (end - first_pts) - ((packet.dts or 0) - first_dts)
            packet.duration = left if left > 0 else packet.duration
