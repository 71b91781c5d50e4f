"""A time range of a video in its time base, and an estimate of the number of frames in it."""

from dataclasses import dataclass
from fractions import Fraction

from .probe import Video


@dataclass(frozen=True)
class TimeRange:
    """A time range of a video.

    Attributes:
        start: the least PTS in it; None is the file's beginning, whatever its first PTS.
        end: the least PTS after it; None is the file's end.
        origin: seconds of the file's own time that are time 0 of the range.
        seconds: from the origin to the end; None when it ends with the file.
    """

    start: int | None
    end: int | None
    origin: Fraction
    seconds: Fraction | None

    def __str__(self) -> str:
        first = float(self.origin) if self.start is not None else 0.0
        return f"{first:g} s to {'the end' if self.seconds is None else f'{float(self.origin + self.seconds):g} s'}"


def time_range(video: Video, start: float = 0.0, duration: float = 0.0) -> TimeRange:
    """The range from `start`, of `duration` seconds of the file's own time; 0 is from the beginning, or to the end.

    Raises:
        ValueError: a number that is negative or not finite.
    """
    if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
        raise ValueError(f"Found a start of {start:g} s and a duration of {duration:g} s. Expected finite numbers from 0 on.")
    first = round(Fraction(start) / video.time_base) if start else None
    last = round(Fraction(start + duration) / video.time_base) if duration else None
    # A file's own time begins at 0, or with its first frame where that has a negative PTS.
    origin = video.time_base * (min(0, round(Fraction(video.begin) / video.time_base)) if first is None else first)
    return TimeRange(first, last, origin, None if last is None else last * video.time_base - origin)


def estimate_frames(
    video: Video, start: float = 0.0, duration: float = 0.0, *, first: int = 0, count: int = 0, every: int = 1
) -> int:
    """About how many frames `read_frames` gives for the same arguments; 0 when the duration of the file is unknown."""
    frames = video.frames
    if start or duration:
        left = max(0.0, video.begin + video.duration - start) if video.duration else duration
        before = max(0.0, video.begin - start)  # seconds of the range before the first frame
        frames = round(max(0.0, (min(duration, left) if duration else left) - before) * video.rate)
    frames = -(-max(0, frames - first) // every)
    if count:
        frames = min(frames, count) if video.frames or duration else count
    return frames
