"""A time range of a video in its time base, and an estimate of the frames in it."""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from .probe import Video


@dataclass(frozen=True)
class TimeRange:
    """A time range of a video, in PTS.

    Attributes:
        start: the least PTS in it; None is the file's beginning, whatever its first PTS.
        end: the least PTS after it; None is the file's end.
        origin: seconds of the file's own time that are time 0 of the range.
        time_base: seconds of one step of PTS.
    """

    start: int | None
    end: int | None
    origin: Fraction
    time_base: Fraction

    @property
    def seconds(self) -> Fraction | None:
        """From the origin to the end; None when it ends with the file."""
        return None if self.end is None else self.end * self.time_base - self.origin

    def __str__(self) -> str:
        first = float(self.origin) if self.start is not None else 0.0
        return f"{first:g} s to {'the end' if self.end is None else f'{float(self.end * self.time_base):g} s'}"


def time_range(video: Video, start: float = 0.0, duration: float = 0.0) -> TimeRange:
    """The range from `start`, of `duration` seconds of the file's own time; 0 is from the beginning, or to the end.

    Raises:
        ValueError: a number that is negative or not finite.
    """
    if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
        raise ValueError(f"A window of {duration:g} s from {start:g} s on, expected seconds from 0 on.")
    first = round(Fraction(start) / video.time_base) if start else None
    last = round(Fraction(start + duration) / video.time_base) if duration else None
    origin = first
    if origin is None:  # a file's own time begins at 0, or with its first frame where that has a negative PTS
        origin = min(0, round(Fraction(video.begin) / video.time_base))
    return TimeRange(first, last, origin * video.time_base, video.time_base)


class Extent(NamedTuple):
    """The size of a time range as images.

    Attributes:
        frames: how many; 0 when the duration of the file is unknown.
        size: (H, W) of each.
        bytes: of all of them as float32 RGB.
    """

    frames: int
    size: tuple[int, int]
    bytes: int

    def __str__(self) -> str:
        height, width = self.size
        return f"{self.frames} frames of {width} x {height}, {self.bytes / 2**30:.1f} GiB as images"


def extent(
    video: Video, start: float = 0.0, duration: float = 0.0, *, first: int = 0, count: int = 0, every: int = 1
) -> Extent:
    """An estimate of what `read_frames` gives for the same arguments; `str()` of it is for messages."""
    frames = video.frames
    if start or duration:
        left = max(0.0, video.begin + video.duration - start) if video.duration else duration
        before = max(0.0, video.begin - start)  # seconds of the range before the first frame
        frames = round(max(0.0, (min(duration, left) if duration else left) - before) * video.rate)
    frames = -(-max(0, frames - first) // every)
    if count:
        frames = min(frames, count) if video.frames or duration else count
    return Extent(frames, video.size, frames * 3 * 4 * video.size[0] * video.size[1])
