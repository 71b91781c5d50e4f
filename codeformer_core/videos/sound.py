"""Sound as samples: of a window of a video, without gaps."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import av.audio
import av.audio.stream
import av.error
import numpy as np
import torch
from torch import Tensor

from .source import BROKEN, Source, open_video, probe
from .windows import window

#: Seconds before a window from which sound is decoded: Opus asks for 80 ms, AAC for a packet.
PREROLL = 0.1


class Sound(NamedTuple):
    """Decoded sound.

    Attributes:
        waveform: (C, T) float32, full scale is 1.
        rate: samples per second.
    """

    waveform: Tensor
    rate: int


class Samples:
    """Turns the packets of an audio stream into the samples of a window, silence where there are none.

    Attributes:
        rate: samples per second.
        damaged: packets that could not be decoded.
    """

    def __init__(
        self,
        stream: av.audio.stream.AudioStream,
        start: Fraction,
        end: Fraction | None,
        layout: str | None = None,
        rate: int | None = None,
    ) -> None:
        """`start` and `end` are seconds of the file's own time; None is its end. `layout` and `rate` are the stream's own."""
        context = stream.codec_context
        self.rate = rate or context.sample_rate
        self.damaged = 0
        self._resampler = av.AudioResampler(format="fltp", layout=layout or context.layout, rate=self.rate)
        self._reached = round(start * self.rate)  # where the next sample is to be
        self._last = None if end is None else round(end * self.rate)
        self._next: int | None = None  # where the next decoded one is

    def feed(self, packet: av.Packet) -> Iterator[np.ndarray]:
        """(C, T) float32 pieces, each right behind the one before. The empty packet at the file's end gives the rest."""
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            self.damaged += 1
            return
        for frame in frames:
            assert isinstance(frame, av.AudioFrame)
            if frame.pts is not None and frame.time_base:
                at = round(frame.pts * frame.time_base * self.rate)
                if self._next is None or abs(at - self._next) > self.rate // 100:  # less is rounding of the time stamps
                    self._next = at
            for piece in self._resampler.resample(frame):
                yield from self._placed(piece.to_ndarray())
        if packet.size == 0:
            for piece in self._resampler.resample(None):
                yield from self._placed(piece.to_ndarray())

    @property
    def complete(self) -> bool:
        """Whether the window's end is reached."""
        return self._last is not None and self._reached >= self._last

    def _placed(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        at = self._next if self._next is not None else self._reached
        self._next = at + samples.shape[1]
        skip = max(0, self._reached - at)
        samples, at = samples[:, skip : None if self._last is None else max(0, self._last - at)], at + skip
        if not samples.shape[1]:
            return
        if at > self._reached:
            yield np.zeros((samples.shape[0], at - self._reached), np.float32)
        yield samples
        self._reached = at + samples.shape[1]


def read_sound(source: Source, start: float = 0.0, duration: float = 0.0) -> Sound | None:
    """The sound of a window of a video, from its first audio stream that can be decoded.

    Sample 0 is heard at the start of the window that `read_frames` has with the same numbers; where the stream begins later,
    there is silence before it.

    Args:
        source: a path, or a BytesIO with the file's bytes.
        start: seconds of the file's own time.
        duration: seconds; 0 is to the end.

    Returns:
        None when the file has no sound that can be decoded, or none in the window.

    Raises:
        OSError, ValueError: the file cannot be opened or is not a video, or a number is out of range.
    """
    part = window(probe(source), start, duration)
    pieces: list[np.ndarray] = []
    with open_video(source) as container:
        stream = next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
        if stream is None:
            return None
        if part.start is not None:
            container.seek(max(0, int((part.origin - Fraction(PREROLL)) * av.time_base)))
        samples = Samples(stream, part.origin, None if part.seconds is None else part.origin + part.seconds)
        try:
            for packet in container.demux(stream):
                pieces += samples.feed(packet)
                if samples.complete:
                    break
        except BROKEN:  # cut off: what is there is taken
            pass
    return Sound(torch.from_numpy(np.concatenate(pieces, 1)), samples.rate) if pieces else None
