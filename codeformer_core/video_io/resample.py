"""Another frame rate: frames are left out or repeated, and the speed stays."""

from collections.abc import Generator, Iterable
from dataclasses import replace
from fractions import Fraction

from .reader import Frame

#: A rate this near to 24000/1001 and the like (in frames per second) is meant to be that.
_NEAR = 0.005


def frame_rate(fps: float) -> Fraction:
    """A frame rate as it was meant: 23.976 and 29.97 are NTSC's 24000/1001 and 30000/1001."""
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    if abs(ntsc - Fraction(fps)) < _NEAR and fps != round(fps):
        return ntsc
    return Fraction(fps).limit_denominator(1000)


def resample(frames: Iterable[Frame], rate: Fraction) -> Generator[Frame, None, None]:
    """The frames at a constant rate: each time that is a multiple of 1 / rate has the frame that is nearest before or after.

    As FFmpeg's filter `fps` does it. Closing it closes `frames`.
    """
    index, held, slot = 0, None, 0
    try:
        for frame in frames:
            begin = round(frame.time * rate)
            if held is not None:
                for at in range(slot, begin):
                    yield replace(held, index=index, time=at / rate)
                    index += 1
            held, slot = frame, begin
        if held is not None:
            lasts = (held.raw.duration or 0) * held.video.time_base
            end = round((held.time + lasts) * rate)
            for at in range(slot, end if index else max(end, slot + 1)):  # one frame at least
                yield replace(held, index=index, time=at / rate)
                index += 1
    finally:
        getattr(frames, "close", lambda: None)()
