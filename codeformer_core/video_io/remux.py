"""Remux the other streams of a video: stream copy where the new container allows it, transcoded audio, tags and chapters."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.audio.stream
import av.container
import av.stream
from av.stream import Discard, Disposition

from .audio import PREROLL, AudioTranscoder
from .codecs import Container
from .probe import BROKEN, Source, first_stream, open_video
from .time_range import TimeRange

# Types of streams in messages.
_PLAIN = {"subtitle": "Subtitles", "attachment": "An attached file", "data": "A stream of data", "video": "Another video"}


class PacketCopier:
    """Stream copy: packets are kept, PTS and DTS are shifted."""

    def __init__(self, stream: av.stream.Stream, new: av.stream.Stream, window: TimeRange, begins_at_zero: bool) -> None:
        self._new, self._window, self._kind = new, window, stream.type
        self._wait_for_key = stream.type == "video"
        self._shift = round(window.origin / (stream.time_base or 1))
        self._first, self._at_zero = None, begins_at_zero
        if window.start is not None and (begins_at_zero or stream.type == "audio"):
            self._first = window.origin if begins_at_zero else window.origin - Fraction(PREROLL)

    def feed(self, packet: av.Packet) -> list[av.Packet]:
        """The packets to write for a packet of the source: itself, or none."""
        if packet.pts is None or not packet.size:
            return []
        begin = packet.pts * packet.time_base
        end = begin + (packet.duration or 0) * packet.time_base
        window = self._window
        if window.seconds is not None and begin >= window.origin + window.seconds:
            return []
        if self._kind == "subtitle" and window.start is not None:
            if end <= window.origin:
                return []
            late = max(0, self._shift - packet.pts)  # displayed already when the range begins
            packet.pts, packet.duration = packet.pts + late, (packet.duration or 0) - late
            packet.dts = packet.pts
        elif self._first is not None and (begin < self._first if self._at_zero else end <= self._first):
            return []
        if self._wait_for_key and not packet.is_keyframe:
            return []
        self._wait_for_key = False
        packet.pts -= self._shift
        packet.dts = None if packet.dts is None else packet.dts - self._shift
        packet.stream = self._new
        return [packet]


class StreamCopier:
    """Remuxes all streams of a source except the video stream that is encoded anew.

    Attributes:
        notices: sentences on streams that are dropped or transcoded.
    """

    def __init__(self, source: Source, output: av.container.OutputContainer, container: Container, window: TimeRange) -> None:
        """Add the streams to `output`, before its header is written."""
        self.notices: list[str] = []
        self._output, self._container, self._window = output, container, window
        self.input = open_video(source)
        main = first_stream(self.input)
        self._copiers: dict[int, PacketCopier | AudioTranscoder] = {}
        for stream in self.input.streams:
            if stream.index != main.index:
                copier = self._copier(stream)
                if copier is not None:
                    self._copiers[stream.index] = copier
                else:
                    stream.discard = Discard.all
        copy_metadata(self.input, output, window)
        main.discard = Discard.all  # some demuxers then skip its packets unread
        if window.start is not None and self._copiers:
            self.input.seek(max(0, int((window.origin - Fraction(PREROLL)) * av.time_base)))
        self._packets = self._demuxed()

    def copy_video_tags(self, new: av.stream.Stream) -> None:
        """Give the encoded video stream the tags and disposition of the source's."""
        _copy_tags(first_stream(self.input), new)

    def mux_until(self, seconds: Fraction | None) -> None:
        """Mux the packets before a time of the range, so that streams are interleaved; None is all of them."""
        for packet in self._packets:
            self._output.mux(packet)
            at = packet.dts if packet.dts is not None else packet.pts
            if seconds is not None and at is not None and at * packet.time_base > seconds:
                return

    def close(self) -> None:
        """Close the source."""
        self.input.close()

    def _demuxed(self) -> Iterator[av.Packet]:
        if not self._copiers:
            return
        try:
            for packet in self.input.demux([self.input.streams[index] for index in self._copiers]):
                yield from self._copiers[packet.stream.index].feed(packet)
        except BROKEN as error:
            self.notices.append(f"Sound and other streams cannot be read to their end ({error}): the rest is left out.")

    def _copier(self, stream: av.stream.Stream) -> PacketCopier | AudioTranscoder | None:
        """How a stream is copied; None when it is not."""
        if stream.type == "attachment" and self._container.format == "matroska":
            attachment = next(other for other in self.input.streams.attachments if other.index == stream.index)
            self._output.add_attachment(attachment.name or "attachment", attachment.mimetype or "", attachment.data)
            return None
        codec = stream.codec_context.codec if stream.codec_context is not None else None
        if codec is not None and stream.type in ("audio", "video", "subtitle"):
            if self._container.supports(self._output, codec):
                new = self._output.add_stream_from_template(stream, opaque=True)
                _copy_tags(stream, new)
                return PacketCopier(stream, new, self._window, self._container.begins_at_zero)
            if isinstance(stream, av.audio.stream.AudioStream):
                transcoder = AudioTranscoder(stream, self._output, self._container.audio_encoder, self._window)
                _copy_tags(stream, transcoder.stream)
                found = f"{self._container.name} does not carry sound as {codec.canonical_name}"
                self.notices.append(f"{found}: encoded anew as {transcoder.name}.")
                return transcoder
        if stream.type == "data" and self.input.chapters():
            return None  # MP4 stores chapters as a data stream too, and the muxer writes it anew
        found = _PLAIN.get(stream.type, "A stream") + (f" ({codec.canonical_name})" if codec else "")
        self.notices.append(f"{found} cannot be carried by {self._container.name}: left out.")
        return None


def _copy_tags(stream: av.stream.Stream, new: av.stream.Stream) -> None:
    """Copy the tags (language, title) and the disposition of a stream."""
    new.metadata.update(kept_metadata(stream.metadata))
    new.disposition = Disposition(stream.disposition)


# Tags that the muxer writes itself, or that are not true of the new file.
_STRUCTURE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate", "alpha_mode"}

_COUNTED = ("bps", "number_of_", "_statistics_")  # mkvmerge's statistics tags


def kept_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """The tags of a file or stream that hold for the new one as well."""
    return {
        key: value for key, value in metadata.items() if key.lower() not in _STRUCTURE and not key.lower().startswith(_COUNTED)
    }


def copy_metadata(source: av.container.InputContainer, output: av.container.OutputContainer, window: TimeRange) -> None:
    """Copy tags, and the chapters of a time range, to a new file before its header is written."""
    output.metadata.update(kept_metadata(source.metadata))
    chapters: list[Any] = []  # PyAV's type for them is only in its stubs
    for chapter in source.chapters():
        unit = Fraction(chapter["time_base"] or Fraction(1, 1000))
        shift = round(window.origin / unit)
        end = None if window.seconds is None else round(window.seconds / unit)
        first = max(0, chapter["start"] - shift)
        last = chapter["end"] - shift if end is None else min(end, chapter["end"] - shift)
        if last > first:
            chapters.append({**chapter, "start": first, "end": last})
    if chapters:
        output.set_chapters(chapters)
