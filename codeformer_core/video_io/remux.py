"""Remux the other streams of a video: stream copy where the new container allows it, transcoded audio, tags and chapters."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError, InvalidDataError
from av.stream import AttachmentStream, Discard, Disposition, Stream

from .audio import AudioTranscoder
from .codecs import Container
from .probe import PREROLL
from .source import ATTACHED_PICTURE, Source, first_stream, open_video
from .time_range import TimeRange

# Types of streams in messages.
_TYPES = {"subtitle": "Subtitles", "attachment": "An attached file", "data": "A data stream", "video": "Another video"}

# How tags begin that the muxer writes itself, or that are not true of the new file, and those of mkvmerge's statistics.
_STRUCTURE = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate", "alpha_mode")

_STATISTICS = ("bps", "number_of_", "_statistics_")


#: Languages that MOV knows by the other of the two codes that ISO 639-2 has for them; measured with FFmpeg 8's muxer.
_MOV_LANGUAGES = {
    **{"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "sqi": "alb", "hye": "arm", "eus": "baq"},
    **{"mya": "bur", "kat": "geo", "mkd": "mac", "msa": "may", "fas": "per", "bod": "tib", "cym": "wel"},
    **{"fre": "fra", "cze": "ces", "rum": "ron", "slo": "slk"},
}


#: How packets of AC-3 and E-AC-3 begin (the syncword of ETSI TS 102 366). The muxers that look into them take no others: they
#: leave out those before the first good one without a word, and refuse one at the end only when the file is closed.
_SYNCWORD, _SYNCED, _LOOKING = b"\x0b\x77", ("ac3", "eac3"), ("mp4", "mov")


class PacketCopier:
    """Stream copy to the new stream `stream`: packets are kept, PTS and DTS are shifted.

    Attributes:
        refused: packets so damaged that the container does not take them.
    """

    def __init__(self, old: Stream, new: Stream, window: TimeRange, container: Container) -> None:
        self.stream, self._window, self.refused = new, window, 0
        begins_at_zero = container.begins_at_zero
        self._at_zero, self._is_subtitle, self._wait_for_key = begins_at_zero, old.type == "subtitle", old.type == "video"
        self._synced = container.format in _LOOKING and old.codec_context.name in _SYNCED
        self._shift = round(window.origin / (old.time_base or 1))
        self._first = None  # seconds; packets before are dropped
        if begins_at_zero or old.type == "audio":
            exactly = begins_at_zero and window.start is not None
            self._first = window.origin if exactly else window.origin - Fraction(PREROLL)

    def feed(self, packet: av.Packet) -> list[av.Packet]:
        """The packets to write for a packet of the source: itself, or none."""
        if packet.pts is None or not packet.size:
            return []
        begin = packet.pts * packet.time_base
        end = begin + (packet.duration or 0) * packet.time_base
        window = self._window
        if window.seconds is not None and begin >= window.origin + window.seconds:
            return []
        if self._is_subtitle:
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
        if self._synced and not bytes(packet).startswith(_SYNCWORD):
            self.refused += 1
            return []
        packet.pts -= self._shift
        packet.dts = None if packet.dts is None else packet.dts - self._shift
        packet.stream = self.stream
        return [packet]


class StreamCopier:
    """Remuxes all streams of a source except the video stream that is encoded anew, and copies tags and chapters.

    Attributes:
        notices: sentences on streams that are dropped or transcoded.
    """

    def __init__(self, source: Source, output: OutputContainer, video: Stream, container: Container, window: TimeRange) -> None:
        """Add the streams to `output`, before its header is written; `video` is the encoded stream."""
        self.notices: list[str] = []
        self._output, self._container, self._window = output, container, window
        self._source, self._input = source, open_video(source)
        main = first_stream(self._input)
        self._copiers: dict[int, PacketCopier | AudioTranscoder] = {}
        for stream in self._input.streams:
            copier = None if stream.index == main.index else self._copier(stream)
            if copier is None:
                stream.discard = Discard.all  # some demuxers then skip its packets unread
            else:
                self._copiers[stream.index] = copier
                self._copy_tags(stream, copier.stream)
        self._copy_tags(main, video)
        output.metadata.update(_kept_tags(self._input.metadata))
        output.set_chapters(_chapters(self._input, window))
        if window.start is not None and self._copiers:
            self._input.seek(max(0, int((window.origin - Fraction(PREROLL)) * av.time_base)))
        self._packets = self._copied()
        self._fed = self._refused = 0

    def mux(self, packets: Iterable[av.Packet]) -> None:
        """Mux packets of any stream. A muxer that reads what is in them, as MP4's does with AC-3, may refuse damaged ones.

        Which one it refuses is not known, since it holds some back: no more than were copied can be those of other streams.
        """
        for packet in packets:
            try:
                self._output.mux(packet)
            except InvalidDataError:
                self._refused += 1
                if self._refused > self._fed:
                    raise

    def mux_until(self, seconds: Fraction | None) -> None:
        """Mux the packets before a time of the range, so that streams are interleaved; None is all of them."""
        for packet in self._packets:
            self._fed += 1
            self.mux([packet])
            at = packet.dts if packet.dts is not None else packet.pts
            if seconds is not None and at is not None and at * packet.time_base > seconds:
                return

    def close(self) -> None:
        """Close the source; the notices are complete."""
        for copier in self._copiers.values():
            self.notices += copier.notices if isinstance(copier, AudioTranscoder) else []
        refused = self._refused + sum(copier.refused for copier in self._copiers.values() if isinstance(copier, PacketCopier))
        if refused:
            packets = "1 packet" if refused == 1 else f"{refused} packets"
            self.notices.append(f"The audio is damaged: {self._container.name} does not take {packets} of it, left out.")
        self._input.close()

    def _copied(self) -> Iterator[av.Packet]:
        if not self._copiers:
            return
        try:
            for packet in self._input.demux([self._input.streams[index] for index in self._copiers]):
                yield from self._copiers[packet.stream.index].feed(packet)
        except FFmpegError as error:
            self.notices.append(f"Audio and other streams cannot be read to their end ({error}): the rest is left out.")

    def _copier(self, stream: Stream) -> PacketCopier | AudioTranscoder | None:
        """How a stream is copied; None when it is not."""
        if isinstance(stream, AttachmentStream) and self._container.format == "matroska":
            self._output.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
            return None
        if stream.disposition & ATTACHED_PICTURE and self._container.format == "matroska":
            self._attach_picture(stream)
            return None
        container = self._container.name
        codec = stream.codec_context.codec if stream.codec_context is not None else None
        cover = stream.disposition & ATTACHED_PICTURE  # the muxer of MP4 has it or tags of any name, that of QuickTime never
        if codec is not None and stream.type in ("audio", "video", "subtitle") and not cover:
            if self._container.supports(self._output, codec):
                new = self._output.add_stream_from_template(stream, opaque=True)
                return PacketCopier(stream, new, self._window, self._container)
            if isinstance(stream, av.AudioStream):
                transcoder = AudioTranscoder(stream, self._output, self._container.audio_encoder, self._window)
                new_name = transcoder.stream.codec_context.codec.canonical_name
                self.notices.append(f"{container} does not support audio as {codec.canonical_name}: transcoded to {new_name}.")
                return transcoder
        if stream.type == "data" and self._input.chapters():
            return None  # MP4 stores chapters as a data stream too, and the muxer writes it anew
        kind = "The cover picture" if cover else _TYPES.get(stream.type, "A stream")
        found = kind + (f" ({codec.canonical_name})" if codec else "")
        self.notices.append(f"{found}: not supported by {container}, left out.")
        return None

    def _attach_picture(self, stream: Stream) -> None:
        """Keep cover art as Matroska has it: a file that is attached. Its packet is the first of its stream."""
        with open_video(self._source) as again:
            data = next((bytes(packet) for packet in again.demux(again.streams[stream.index]) if packet.size), b"")
        kind = "jpeg" if stream.codec_context is None else stream.codec_context.name.replace("mjpeg", "jpeg")
        named = f"cover.{kind.replace('jpeg', 'jpg')}"  # which players look for (RFC 9559)
        name, mime = stream.metadata.get("filename", named), stream.metadata.get("mimetype", f"image/{kind}")
        self._output.add_attachment(name, mime, data)

    def _copy_tags(self, old: Stream, new: Stream) -> None:
        """Copy the tags (language, title) and the disposition of a stream."""
        tags = _kept_tags(old.metadata)
        if self._container.format == "mov" and "language" in tags:
            tags["language"] = _MOV_LANGUAGES.get(tags["language"], tags["language"])
        new.metadata.update(tags)
        new.disposition = Disposition(old.disposition)


def _kept_tags(metadata: dict[str, str]) -> dict[str, str]:
    """The tags of a file or stream that hold for the new one as well."""
    return {key: value for key, value in metadata.items() if not key.lower().startswith(_STRUCTURE + _STATISTICS)}


def _chapters(source: InputContainer, window: TimeRange) -> list[Any]:
    """The chapters of a time range; PyAV's type for them is only in its stubs."""
    chapters = []
    for chapter in source.chapters():
        unit = Fraction(chapter["time_base"] or Fraction(1, 1000))
        shift = round(window.origin / unit)
        begin, end = max(0, chapter["start"] - shift), chapter["end"] - shift
        if window.seconds is not None:
            end = min(end, round(window.seconds / unit))
        if begin < end:
            chapters.append({**chapter, "start": begin, "end": end})
    return chapters
