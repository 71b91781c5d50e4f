"""How much of a video a window is, before it is decoded."""

from typing import NamedTuple

from .source import Video


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
        length = max(0.0, video.begin + video.duration - start)
        frames = round((min(duration, length) if duration and video.duration else duration or length) * video.rate)
    frames = max(0, -(-(frames - first) // every))
    if count:
        frames = min(frames, count) if video.frames else count
    return Extent(frames, video.size, frames * 3 * 4 * video.size[0] * video.size[1])
