"""One video's way: read, fix, write, at the same time."""

from pathlib import Path
from typing import NamedTuple

import torch

from .ahead import ahead
from .faces import Detector
from .progress import Tick, no_tick
from .recipe import Recipe
from .sights import SteadyRestorer
from .stream import fix_stream
from .videos import Source, VideoWriter, extent, read_frames

#: Frames that are decoded ahead of the network, in the video's own format: 3 MB each at 1920 x 1080.
AHEAD = 8


class FixedVideo(NamedTuple):
    """What became of a video.

    Attributes:
        frames: how many were written.
        with_faces: how many of them have a restored face.
        people: how many faces were followed; one that leaves and comes back counts twice.
        notices: what the file could not keep, and what was wrong with it, in sentences.
    """

    frames: int
    with_faces: int
    people: int
    notices: list[str]


def fix_video(
    source: Source,
    path: Path,
    detector: Detector,
    restorer: SteadyRestorer,
    recipe: Recipe = Recipe(),
    *,
    start: float = 0.0,
    duration: float = 0.0,
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
    device: torch.device | str = "cpu",
    tick: Tick = no_tick,
) -> FixedVideo:
    """Restore the faces of a video file; everything else is kept as `VideoWriter` says.

    Memory does not grow with the length. Decoding, the networks and encoding run at the same time.

    Args:
        source: a file, or one in memory.
        path: the new file, which appears whole or not at all.
        start, duration: seconds; the part that is read and written. A duration of 0 goes to the end.
        codec, crf: a row of `videos.CODECS`, and its quality: lower is better and larger. None is the file format's first
            codec, and the codec's default.
        device: where frames are worked on.
        tick: called with frames done and frames in all (0 when the file does not say); what it raises stops the work.
    """
    reader = read_frames(source, start, duration)
    total, frames, with_faces, people = extent(reader.video, start, duration).frames, 0, 0, set()
    whole = recipe.enlarged is not None or recipe.upscale != 1  # every pixel is new, not only those of faces
    tick(0, total)
    with (
        VideoWriter(path, source, codec=codec, crf=crf, start=start, duration=duration, overwrite=overwrite) as writer,
        ahead(reader, AHEAD) as reading,
    ):
        for done in fix_stream(reading, detector, restorer, recipe, device):
            writer.write(done.frame, done.image, None if whole else done.mask)
            frames += 1
            with_faces += bool(done.tracks)
            people.update(done.tracks)
            tick(frames, max(total, frames) if total else 0)
    return FixedVideo(frames, with_faces, len(people), [*reader.notices, *writer.notices])
