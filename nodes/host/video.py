"""The host's VIDEO and the core's video files, and the progress of work on one."""

import math
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import comfy.model_management as mm
from comfy_api.latest import Input, InputImpl

from ...codeformer_core.runtime.progress import Tick
from ...codeformer_core.video.stages import FrameState
from ...codeformer_core.video_io import Frame, Source
from . import model_files, progress


@contextmanager
def open_host_video(video: Input.Video) -> Iterator[tuple[Source, float, float]]:
    """The file of a VIDEO, or its bytes, and the part of it: start and duration in seconds of the file; 0 is to the end.

    Images in memory (Create Video) are written to a temporary file, which loses nothing but H.264's chroma subsampling (4:2:0).

    Raises:
        ValueError: the host cannot write the images to a file.
    """
    if not isinstance(video, InputImpl.VideoFromComponents):
        start, duration = video.get_active_trim_window() if hasattr(video, "get_active_trim_window") else (0.0, 0.0)
        yield video.get_stream_source(), start, duration
        return
    width, height = video.get_dimensions()
    if width % 2 or height % 2:  # the encoder's own message does not say so
        raise ValueError(
            f"Found images of {width} x {height} in a video. Expected an even width and height: crop or resize the images "
            "before Create Video, or connect them to Fix Faces with 'frames are consecutive' on."
        )
    path = model_files.temporary_path(".mp4")
    try:
        video.save_to(str(path), crf=0)
        yield path, 0.0, 0.0
    finally:
        path.unlink(missing_ok=True)


class _Path(str):
    """The path of a file that is removed with the last VIDEO that holds this very object; trimming a VIDEO hands it on."""


def temporary_video(path: Path) -> Input.Video:
    """A temporary file as a VIDEO; the file lasts as long as that and those which the host trims from it."""
    held = _Path(path)
    weakref.finalize(held, path.unlink, missing_ok=True)
    return InputImpl.VideoFromFile(held)


def progress_callback(tick: Tick) -> Tick:
    """`tick` that also shows the frame rate and the remaining time below the running node, once a second."""
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


def live_preview(shown: progress.NodeProgress) -> Callable[[FrameState[Frame]], None]:
    """A callback that shows the frame being written in the running node: the first one, then one a second."""
    last = -math.inf

    def show(done: FrameState[Frame]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 1:
            last = now
            shown.preview(done.frame.image() if done.image is None else done.image)

    return show


@contextmanager
def saying_when_cancelled(tick: Tick) -> Iterator[Tick]:
    """`tick`; when the user cancels, the text below the running node says how far it came, and that nothing is left."""
    frames = 0

    def counted(done: int, total: int) -> None:
        nonlocal frames
        frames = done
        tick(done, total)

    try:
        yield counted
    except mm.InterruptProcessingException:
        progress.show(f"Cancelled after frame {frames}: no part of the video is kept.")
        raise


def format_pace(done: int, total: int, rate: float) -> str:
    """Frames done, their rate per second and the remaining time; a total of 0 is not known."""
    if not total:
        return f"{done} frames, {rate:.1f} a second"
    seconds = round((total - done) / rate)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    left = f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
    return f"{done} of {total} frames, {rate:.1f} a second, {left} left"
