"""Frames of a window of a video, one after the other, in the memory of a few."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import av.error
import torch
from torch import Tensor

from . import planes
from .source import Source, Video, describe, first_stream, name_of, open_video


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame in its own pixel format (3 MB at 1080p), so that many can wait in memory.

    Attributes:
        index: in the video's frames, counted from the start of the window.
        time: seconds from the start of the window in seconds (of the file's own time when there is none).
        raw: as decoded.
        video: what it is a frame of.
    """

    index: int
    time: Fraction
    raw: av.VideoFrame
    video: Video = field(repr=False)

    def image(self, device: torch.device | str = "cpu") -> Tensor:
        """(1, 3, H, W) float32 RGB in [0, 1], upright, with all the bits of the video, computed on `device`."""
        return planes.image(self.raw, self.video.colours, self.video.turn, device)


@dataclass(frozen=True)
class Window:
    """A part of a video in steps of its own time stamps.

    Attributes:
        start: of the first frame that may be in it; None is the file's beginning, whatever its first time stamp.
        end: of the first frame that is behind it; None is the file's end.
        unit: seconds of a step.
    """

    start: int | None
    end: int | None
    unit: Fraction

    @property
    def origin(self) -> Fraction:
        """Seconds of the file's own time that are 0 in the window."""
        return (self.start or 0) * self.unit


def window(video: Video, start: float = 0.0, duration: float = 0.0) -> Window:
    """Seconds of the file's own time as time stamps; 0 is from the beginning, or to the end.

    Raises:
        ValueError: a negative number.
    """
    if start < 0 or duration < 0:
        raise ValueError(f"A window of {duration:g} s from {start:g} s on: expected numbers from 0 on.")
    first = round(Fraction(start) / video.unit) if start else None
    last = round(Fraction(start + duration) / video.unit) if duration else None
    return Window(first, last, video.unit)


class FrameReader(Iterator[Frame]):
    """The frames of a window. Made by `read_frames`.

    Attributes:
        video: what is read.
        notices: sentences on what was damaged, filled while frames are read.
    """

    def __init__(self, source: Source, start: float, duration: float, first: int, count: int, every: int) -> None:
        if first < 0 or count < 0 or every < 1:
            raise ValueError(f"Frames from {first} on, {count} of them, every {every}.: expected numbers from 0, 0 and 1 on.")
        self.video = self._probe(source)
        self.notices: list[str] = []
        self._window = window(self.video, start, duration)
        self._source = source
        self._frames = self._selected(first, count, every)

    @staticmethod
    def _probe(source: Source) -> Video:
        with open_video(source) as container:
            return describe(container, name_of(source))

    def __iter__(self) -> "FrameReader":
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Let go of the file before the end."""
        self._frames.close()

    def _selected(self, first: int, count: int, every: int) -> Iterator[Frame]:
        stop = first + count * every if count else None
        for index, raw in enumerate(self._decoded()):
            if stop is not None and index >= stop:
                return
            if index >= first and (index - first) % every == 0:
                yield Frame(index - first, raw.pts * self._window.unit - self._window.origin, raw, self.video)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        with open_video(self._source) as container:
            stream = first_stream(container)
            stream.thread_type = "AUTO"
            if self._window.start:
                container.seek(self._window.start, stream=stream)
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue
                for raw in frames:
                    if self._window.start is not None and raw.pts < self._window.start:
                        continue
                    if self._window.end is not None and raw.pts >= self._window.end:
                        return
                    yield raw


def read_frames(
    source: Source, start: float = 0.0, duration: float = 0.0, *, first: int = 0, count: int = 0, every: int = 1
) -> FrameReader:
    """Decode a window of a video: seconds, frames counted within these, or both.

    Args:
        source: a path, or a BytesIO with the file's bytes.
        start: seconds of the file's own time at which the window begins; 0 is with its first frame.
        duration: seconds; 0 is to the end.
        first: frames of the window to leave out at its beginning.
        count: frames to give; 0 is all.
        every: give one of so many frames.

    Returns:
        An iterator of `Frame` with `video`, `notices` and `close()`.

    Raises:
        OSError, ValueError: it cannot be opened, is not a video, or has no frame in the window.
    """
    return FrameReader(source, start, duration, first, count, every)
