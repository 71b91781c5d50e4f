"""Audio of a time range of a video: decoded without gaps, and encoded again where packets cannot be copied."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
import torch
from av.container import OutputContainer
from av.error import FFmpegError
from torch import Tensor

from .probe import PREROLL, probe
from .source import DAMAGED, Source, open_video
from .time_range import TimeRange, time_range

_NAMED = 5  # damaged positions that a notice lists


class Audio(NamedTuple):
    """Decoded audio: samples (C, T) float32, full scale is 1, how many a second has, and sentences on damage."""

    waveform: Tensor
    rate: int
    notices: list[str]


class AudioDecoder:
    """Decodes packets to the samples of a time range, `rate` a second, with silence in the gaps."""

    def __init__(self, stream: av.AudioStream, window: TimeRange, layout: str | None = None, rate: int | None = None) -> None:
        """`layout` and `rate` are the stream's own by default."""
        context = stream.codec_context
        self.rate = rate or context.sample_rate
        self._resampler = av.AudioResampler(format="fltp", layout=layout or context.layout, rate=self.rate)
        self._position = round(window.origin * self.rate)  # of the next sample to return, in samples of the file's own time
        self._end = float("inf") if window.seconds is None else round((window.origin + window.seconds) * self.rate)
        self._decoded: int | None = None  # the position of the next sample that is decoded
        self._zero, self._damaged = window.origin, list[float]()

    def decode(self, packet: av.Packet) -> Iterator[np.ndarray]:
        """(C, T) float32 pieces without gaps. The empty packet at the end of the file flushes."""
        try:
            frames = packet.decode()
        except DAMAGED:  # the next packet's PTS leaves a gap, which is filled with silence
            at = 0.0 if packet.pts is None else float(packet.pts * packet.time_base - self._zero)
            if at >= 0:
                self._damaged.append(at)
            return
        for frame in frames if packet.size else [*frames, None]:
            assert frame is None or isinstance(frame, av.AudioFrame)
            if frame is not None and frame.pts is not None and frame.time_base:
                position = round(frame.pts * frame.time_base * self.rate)
                if self._decoded is None or abs(position - self._decoded) > self.rate // 100:  # less is rounding of the PTS
                    self._decoded = position
            for resampled in self._resampler.resample(frame):
                samples = resampled.to_ndarray()
                first = self._position if self._decoded is None else self._decoded
                self._decoded = last = first + samples.shape[1]
                begin, end = max(first, self._position), int(min(last, self._end))
                if begin < end:
                    silence = np.zeros((len(samples), begin - self._position), np.float32)
                    yield np.concatenate([silence, samples[:, begin - first : end - first]], 1)
                    self._position = end

    @property
    def notices(self) -> list[str]:
        """A sentence on the packets that could not be decoded, if any."""
        if not self._damaged:
            return []
        places = ", ".join(f"{at:.2f}" for at in self._damaged[:_NAMED])
        more = " and elsewhere" if len(self._damaged) > _NAMED else ""
        return [f"The audio is damaged at {places} s{more}: it is silent there."]

    @property
    def complete(self) -> bool:
        """Whether the end of the range is reached."""
        return self._position >= self._end


def read_audio(source: Source, start: float = 0.0, duration: float = 0.0) -> Audio | None:
    """The audio of a time range of a video, from its first audio stream that can be decoded.

    Sample 0 is at the start of the range that `read_frames` has for the same arguments; a stream that begins later is preceded
    by silence.

    Returns:
        None when the file has no audio that can be decoded, or none in the range.

    Raises:
        OSError, ValueError: see `read_frames`.
    """
    window = time_range(probe(source), start, duration)
    pieces: list[np.ndarray] = []
    with open_video(source) as container:
        stream = next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
        if stream is None:
            return None
        if window.start is not None:
            container.seek(max(0, int((window.origin - Fraction(PREROLL)) * av.time_base)))
        decoder = AudioDecoder(stream, window)
        with suppress(FFmpegError):  # truncated: what could be read is kept
            for packet in container.demux(stream):
                pieces += decoder.decode(packet)
                if decoder.complete:
                    break
    return Audio(torch.from_numpy(np.concatenate(pieces, 1)), decoder.rate, decoder.notices) if pieces else None


_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # supported by both AAC and Opus

_BITS_PER_CHANNEL = 96_000  # bit/s; AAC counts as transparent from 64 000 to 96 000


class AudioTranscoder:
    """Transcodes an audio stream to the new stream `stream`."""

    def __init__(self, stream: av.AudioStream, output: OutputContainer, encoder: str, window: TimeRange) -> None:
        context = stream.codec_context
        rate = context.sample_rate if context.sample_rate in (av.Codec(encoder, "w").audio_rates or ()) else 48_000
        self._layout = _LAYOUTS.get(context.layout.nb_channels, "stereo")
        new = output.add_stream(encoder, rate=rate, layout=self._layout)
        assert isinstance(new, av.AudioStream)
        new.codec_context.bit_rate = _BITS_PER_CHANNEL * new.codec_context.layout.nb_channels
        self.stream = new
        self._decoder = AudioDecoder(stream, window, self._layout, rate)
        self._pts = 0

    @property
    def notices(self) -> list[str]:
        """Sentences on damage in the source."""
        return self._decoder.notices

    def feed(self, packet: av.Packet) -> list[av.Packet]:
        """The packets to write for a packet of the source; the empty packet at its end flushes."""
        packets = []
        for samples in self._decoder.decode(packet):
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts = self._decoder.rate, self._pts
            self._pts += samples.shape[1]
            packets += self.stream.encode(frame)
        return packets if packet.size else [*packets, *self.stream.encode(None)]
