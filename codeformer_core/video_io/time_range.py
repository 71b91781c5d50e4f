"""Which part of a video is meant, and how much that is."""

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from .probe import Video


@dataclass(frozen=True)
class TimeRange:
    """A part of a video in steps of its own time stamps.

    Attributes:
        start: time stamp of the first frame that may be in it; None is the file's beginning, whatever its first time stamp.
        end: time stamp of the first frame that is behind it; None is the file's end.
        origin: seconds of the file's own time that are 0 in the window.
        unit: seconds of a step.
    """

    start: int | None
    end: int | None
    origin: Fraction
    unit: Fraction

    @property
    def seconds(self) -> Fraction | None:
        """From the origin to the end, None when it ends with the file."""
        return None if self.end is None else self.end * self.unit - self.origin

    def __str__(self) -> str:
        first = float(self.origin) if self.start is not None else 0.0
        return f"{first:g} s to {'the end' if self.end is None else f'{float(self.end * self.unit):g} s'}"


def time_range(video: Video, start: float = 0.0, duration: float = 0.0) -> TimeRange:
    """Seconds of the file's own time as time stamps; 0 is from the beginning, or to the end.

    Raises:
        ValueError: a number that is negative or none.
    """
    if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
        raise ValueError(f"A window of {duration:g} s from {start:g} s on, expected seconds from 0 on.")
    first = round(Fraction(start) / video.unit) if start else None
    last = round(Fraction(start + duration) / video.unit) if duration else None
    origin = first
    if origin is None:  # a file's own time begins at 0; one whose first frame is before that begins with the frame
        origin = min(0, round(Fraction(video.begin) / video.unit))
    return TimeRange(first, last, origin * video.unit, video.unit)


class Extent(NamedTuple):
    """What the images of a window take.

    Attributes:
        frames: how many, 0 when the file does not say how long it is.
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
    """The best knowledge of what `read_frames` with the same arguments would give; `str()` of it is for a sentence."""
    frames = video.frames
    if start or duration:
        rest = max(0.0, video.begin + video.duration - start) if video.duration else duration
        before = max(0.0, video.begin - start)  # of the window, without frames
        frames = round(max(0.0, (min(duration, rest) if duration else rest) - before) * video.rate)
    frames = -(-max(0, frames - first) // every)
    if count:
        frames = min(frames, count) if video.frames or duration else count
    return Extent(frames, video.size, frames * 3 * 4 * video.size[0] * video.size[1])
