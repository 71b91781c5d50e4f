"""Frames of a window of a video, one after the other, in the memory of a few."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import torch
from torch import Tensor

from . import planes
from .decode import FrameDecoder
from .probe import Source, Video, probe
from .time_range import time_range

_WORTH_SEEKING = 32  # frames; fewer are decoded faster than the file is opened again to count


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame in its own pixel format (3 MB at 1080p), so that many can wait in memory.

    Attributes:
        index: in the video's frames, counted from the first one of the window that is given.
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


class FrameReader(Iterator[Frame]):
    """The frames of a window. Made by `read_frames`.

    Attributes:
        video: what is read.
        notices: sentences on what was wrong with the file; complete when all frames are read.
    """

    def __init__(self, source: Source, start: float, duration: float, first: int, count: int, every: int) -> None:
        if first < 0 or count < 0 or every < 1:
            raise ValueError(f"Frames from {first} on, {count} of them, one of {every}: expected numbers from 0, 0 and 1 on.")
        self.video = probe(source)
        self._decoding = FrameDecoder(source, self.video, time_range(self.video, start, duration))
        self.notices = self._decoding.notices
        self._frames = self._selected(first, count, every)

    def __iter__(self) -> "FrameReader":
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Let go of the file before the end."""
        self._frames.close()

    def _selected(self, first: int, count: int, every: int) -> Generator[Frame, None, None]:
        part, wanted = self._decoding.window, first
        begin = self._decoding.stamp_of(first) if first >= _WORTH_SEEKING else None
        if begin is not None:
            wanted = 0
        given = 0
        for number, found in enumerate(self._decoding.frames(begin)):
            if number < wanted or (number - wanted) % every:
                continue
            yield Frame(number - wanted, found.stamp * part.unit - part.origin, found.frame, self.video)
            given += 1
            if count and given == count:
                break
        if not given:
            lasts = f"it lasts {self.video.duration:.2f} s" if self.video.duration else "it is shorter"
            behind = f", from frame {first} on" if first else ""
            raise ValueError(f"{self.video.name} has no frame in the window {part}{behind}: {lasts}. Choose another window.")


def read_frames(
    source: Source, start: float = 0.0, duration: float = 0.0, *, first: int = 0, count: int = 0, every: int = 1
) -> FrameReader:
    """Decode a window of a video: seconds, frames counted within these, or both.

    Damaged frames are concealed by the decoder, or left out so that the frame before stands longer; time stamps that are
    missing or go back are mended. All that is said in `notices`. What lies before the window is not decoded, as far as the
    file allows to go there exactly.

    Args:
        source: a path, or a BytesIO with the file's bytes.
        start: seconds of the file's own time at which the window begins; 0 is with its first frame.
        duration: seconds; 0 is to the end.
        first: frames of the window to leave out at its beginning.
        count: frames to give; 0 is all.
        every: give one of so many frames.

    Returns:
        An iterator of `Frame` with `video`, `notices` and `close()`. It raises ValueError in place of the first frame when the
        window has none.

    Raises:
        OSError, ValueError: it cannot be opened or is not a video, or a number is out of range.
    """
    return FrameReader(source, start, duration, first, count, every)
