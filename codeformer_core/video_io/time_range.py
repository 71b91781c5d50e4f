"""A time range of a video in its time base, and an estimate of the number of frames in it."""

from dataclasses import dataclass, replace
from fractions import Fraction

from .probe import Video


@dataclass(frozen=True)
class TimeRange:
    """A time range of a video.

    Attributes:
        start: the least PTS in it; None is the film's beginning, whatever its PTS.
        end: the least PTS after it; None is the file's end.
        origin: seconds on the file's own clock that are time 0 of the range.
        seconds: from the origin to the end; None when it ends with the file.
        lead: seconds from the origin to time 0 of the frames; see `with_lead`.
    """

    start: int | None
    end: int | None
    origin: Fraction
    seconds: Fraction | None
    lead: Fraction = Fraction(0)

    def with_lead(self, video: Video) -> "TimeRange":
        """The range for writing: that of a whole file begins with the sound before the film's beginning, if there is any."""
        if self.start is not None or self.seconds is not None:
            return self
        return replace(self, origin=self.origin - video.lead, lead=video.lead)


def time_range(video: Video, start: float = 0.0, duration: float = 0.0) -> TimeRange:
    """The range from `start` seconds of the film on, of `duration` seconds; 0 is from its beginning, or to the end.

    Raises:
        ValueError: a number that is negative or not finite.
    """
    if not (0 <= start < float("inf") and 0 <= duration < float("inf")):
        raise ValueError(f"Found a start of {start:g} s and a duration of {duration:g} s. Expected finite numbers from 0 on.")
    first = round((video.zero + Fraction(start)) / video.time_base) if start else None
    last = round((video.zero + Fraction(start + duration)) / video.time_base) if duration else None
    origin = video.zero if first is None else first * video.time_base
    return TimeRange(first, last, origin, None if last is None else last * video.time_base - origin)


def estimate_frames(
    video: Video,
    start: float = 0.0,
    duration: float = 0.0,
    *,
    first: int = 0,
    count: int = 0,
    every: int = 1,
    rate: Fraction | None = None,
) -> int:
    """About how many frames `read_frames` gives for these arguments, resampled to `rate`; 0: the duration is unknown."""
    frames = video.frames
    if start or duration:
        left = max(0.0, video.late + video.duration - start) if video.duration else duration
        before = max(0.0, video.late - start)  # seconds of the range before the first frame
        frames = round(max(0.0, (min(duration, left) if duration else left) - before) * video.rate)
    frames = -(-max(0, frames - first) // every)
    if count:
        frames = min(frames, count) if video.frames or duration else count
    if rate is not None:
        return round(frames * every / video.rate * rate) if video.rate else 0
    return frames
