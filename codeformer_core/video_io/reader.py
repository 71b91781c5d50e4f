"""Read the frames of a video as a stream, by time, by frame number, or both."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice

import av
import torch
from torch import Tensor

from . import planes
from .decode import FrameDecoder
from .probe import Video, probe
from .source import Source
from .time_range import time_range

_WORTH_SEEKING = 32  # frames; fewer are decoded faster than the file is reopened to count packets


@dataclass(frozen=True, eq=False)
class Frame:
    """A decoded frame in its own pixel format: 3 MB at 1080p instead of 25 MB as float32 RGB.

    Attributes:
        index: number of the frame, counted from the first one that is given.
        time: seconds from `start`, and from the film's beginning (`Video.zero`) when there is none.
        raw: as decoded.
        video: of the file that it belongs to.
        pts: in its time base.
    """

    index: int
    time: Fraction
    raw: av.VideoFrame
    video: Video = field(repr=False)
    pts: int = 0
    _uploaded: list[Tensor] = field(default_factory=list, repr=False)

    def image(self, device: torch.device | str = "cpu") -> Tensor:
        """(1, 3, H, W) float32 RGB in [0, 1], upright, with all the bits of the video, converted on `device`."""
        return planes.image(self.raw, self.video.colours, self.video.orientation, self.samples(device))

    def samples(self, device: torch.device | str) -> list[Tensor] | None:
        """The sample planes on a device, where they stay as long as the frame does; None on the CPU, which has `raw`."""
        if torch.device(device).type == "cpu":
            return None
        if not self._uploaded:
            self._uploaded.extend(planes.uploaded(self.raw, device))
        return [plane.to(device) for plane in self._uploaded]


class FrameReader(Iterator[Frame]):
    """The iterator of `read_frames`, which says what its attributes are."""

    def __init__(
        self, source: Source, start: float, duration: float, first: int, count: int, every: int, begin: int | None
    ) -> None:
        if first < 0 or count < 0 or every < 1:
            raise ValueError(f"Found first={first}, count={count}, every={every}. Expected at least 0, 0 and 1.")
        self.video = probe(source)
        self._decoder = FrameDecoder(source, self.video, time_range(self.video, start, duration))
        self._window = f"{start:g} s to {f'{start + duration:g} s' if duration else 'the end'}"
        self.notices = self._decoder.notices
        self._frames = self._selected(first, count, every, begin)

    def __next__(self) -> Frame:
        return next(self._frames)

    @property
    def regular(self) -> bool:
        """Whether all frames so far were whole and had PTS of their own, so that it is certain where they are in the file."""
        return self._decoder.regular

    def close(self) -> None:
        """Close the file before its end."""
        self._frames.close()

    def _selected(self, first: int, count: int, every: int, begin: int | None) -> Generator[Frame, None, None]:
        window, frame = self._decoder.window, None
        if first >= _WORTH_SEEKING and begin is None:
            begin = self._decoder.pts_of(first)
        skipped = first if begin is None else 0
        decoded = enumerate(self._decoder.frames(begin), -skipped)
        for index, (pts, raw) in islice(decoded, skipped, skipped + (count - 1) * every + 1 if count else None, every):
            frame = Frame(index, pts * self.video.time_base - window.origin, raw, self.video, pts)
            yield frame
        if frame is None:
            video = self.video
            lasts = f"it lasts {video.late + video.duration:.2f} s" if video.duration else "it is shorter"
            if window.seconds is not None and window.origin + window.seconds <= video.begin:
                lasts = f"its first frame comes at {video.late:.2f} s, after sound alone"
            behind = f", from frame {first} on" if first else ""
            raise ValueError(f"{video.name} has no frame in the window {self._window}{behind}: {lasts}. Choose another window.")


def read_frames(
    source: Source,
    start: float = 0.0,
    duration: float = 0.0,
    *,
    first: int = 0,
    count: int = 0,
    every: int = 1,
    begin: int | None = None,
) -> FrameReader:
    """Decode a time range of a video, or a range of frames in it.

    Damaged frames are concealed by the decoder, or dropped so that the frame before is shown longer; missing and decreasing PTS
    are repaired. Frames before the range are not decoded where the file can be sought exactly.

    Args:
        source: a path, or a BytesIO with the file's bytes.
        start, duration: seconds, counted from the film's beginning, whatever the file's clock says; a duration of 0 reads to
            the end.
        first, count: frames of the range to skip, and how many to give; 0 is all.
        every: give every nth frame.
        begin: the PTS of a frame of the range, as `Frame.pts` has it, to begin with.

    Returns:
        An iterator of `Frame` with `video` (the file's properties), `notices` (sentences on damage in the file, complete when
        all frames are read) and `close()`. It raises ValueError in place of the first frame when the range has none.

    Raises:
        OSError, ValueError: it cannot be opened or is not a video, or a number is out of range.
    """
    return FrameReader(source, start, duration, first, count, every, begin)


def frames_as_times(source: Source, start: float, duration: float, first: int, count: int) -> tuple[float, float]:
    """Start and duration in seconds of the frames `first` to `first + count` of a time range, see `read_frames`.

    Raises:
        OSError, ValueError: see `read_frames`; the range has no frame `first`.
    """
    begin = _time_of(read_frames(source, start, duration, first=first, count=1)) if first else Fraction(0)
    end = Fraction(duration)
    if count:
        with suppress(ValueError):  # the range ends before: to its end
            end = _time_of(read_frames(source, start, duration, first=first + count, count=1))
    return start + float(begin), float(end - begin) if end else 0.0


def _time_of(frames: FrameReader) -> Fraction:
    try:
        return next(frames).time
    finally:
        frames.close()
