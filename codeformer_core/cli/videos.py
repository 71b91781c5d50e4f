"""`codeformer video`: videos in, videos with restored faces out."""

from pathlib import Path

from ..selection.report import left_as_they_are
from ..video.pipeline import fix_video
from ..video_io import CONTAINERS, probe, read_frames
from .arguments import Arguments
from .contents import VIDEOS
from .context import RunContext
from .plan import ImageTask
from .report import ImageResult
from .run import process_all


def run(arguments: Arguments) -> int:
    """The exit status, see `process_all`."""
    return process_all(arguments, VIDEOS._replace(written=tuple(CONTAINERS)), _fix, size_of=_size)


def _size(path: Path) -> tuple[int, int] | None:
    """(W, H) as it is shown."""
    try:
        height, width = probe(path).size
        return width, height
    except (OSError, ValueError):  # said when it is its turn
        return None


def _fix(task: ImageTask, context: RunContext) -> ImageResult:
    arguments, extras = context.arguments, context.networks
    if arguments.inside or arguments.keep_out:  # the masks must have the aspect ratio of the first frame
        first = next(read_frames(task.source, arguments.start, count=1)).image(context.device)
        extras = context.extras(task, first)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    done = fix_video(
        task.source,
        task.target,
        context.detector,
        context.restorer,
        context.options,
        extras,
        start=arguments.start,
        duration=arguments.duration,
        fps=arguments.fps,
        codec=arguments.codec,
        crf=arguments.crf,
        overwrite=arguments.overwrite,
        device=context.device,
        tick=context.progress("frame"),
    )
    none = "no face restored" if done.left_alone else "no face found"
    faces = f"faces in {done.with_faces} of them: {done.people} found and restored" if done.people else none
    line = f"{task.source}: {done.frames} frames, {faces} -> {task.target}"
    alone = sum(done.left_alone.values())
    return ImageResult(task.target, [line, *left_as_they_are(done.left_alone), *done.notices], done.people + alone, done.people)
