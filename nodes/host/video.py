"""The host's VIDEO and the core's video files, and how work on one says how far it is."""

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from comfy_api.latest import Input, InputImpl

from ...codeformer_core.runtime.progress import Tick
from ...codeformer_core.video_io import Source
from . import model_files, progress


class Part(NamedTuple):
    """A part of a file.

    Attributes:
        source: the file, or its bytes.
        start, duration: seconds of the file's own time; a duration of 0 goes to the end.
    """

    source: Source
    start: float
    duration: float


@contextmanager
def open_host_video(video: Input.Video) -> Iterator[Part]:
    """The part of a file that a VIDEO stands for. Pictures in memory (Create Video) are a file for as long, with nothing lost
    but what H.264's samples of colour (4:2:0) lose in any file of theirs.

    Raises:
        ValueError: the host cannot make a file of the pictures.
    """
    if isinstance(video, InputImpl.VideoFromComponents):
        width, height = video.get_dimensions()
        if width % 2 or height % 2:  # the encoder's own message does not say so
            raise ValueError(
                f"Found pictures of {width} x {height} in a video. Expected an even width and height: crop or resize the "
                "pictures before Create Video, or give them to Fix Faces with 'frames are consecutive' on."
            )
        path = model_files.temporary_path(".mp4")
        try:
            video.save_to(str(path), crf=0)
            yield Part(path, 0.0, 0.0)
        finally:
            path.unlink(missing_ok=True)
    else:
        trimmed = video.get_active_trim_window() if hasattr(video, "get_active_trim_window") else (0.0, 0.0)
        yield Part(video.get_stream_source(), *trimmed)


class _Path(str):
    """The path of a file that is removed with the last VIDEO that holds this very object; trimming a VIDEO hands it on."""


def temporary_video(path: Path) -> Input.Video:
    """A temporary file as a VIDEO; the file lasts as long as that and those which the host trims from it."""
    held = _Path(path)
    weakref.finalize(held, path.unlink, missing_ok=True)
    return InputImpl.VideoFromFile(held)


def progress_callback(tick: Tick) -> Tick:
    """`tick` that also shows once a second, below the running node, how fast frames come and how long they will take."""
    first, last_shown = (0, 0.0), 0.0

    def tick_and_show(done: int, total: int) -> None:
        nonlocal first, last_shown
        tick(done, total)
        now = time.monotonic()
        if done and not first[0]:  # what came before was loading
            first, last_shown = (done, now), now
        elif done > first[0] and now - last_shown >= 1:
            last_shown = now
            progress.show(format_pace(done, total, (done - first[0]) / (now - first[1])))

    return tick_and_show


def format_pace(done: int, total: int, rate: float) -> str:
    """How far, how fast (frames a second) and how long still; a total of 0 is not known."""
    if not total:
        return f"{done} frames, {rate:.1f} a second"
    seconds = round((total - done) / rate)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    left = f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
    return f"{done} of {total} frames, {rate:.1f} a second, {left} left"
