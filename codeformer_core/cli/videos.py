"""`codeformer video`: videos in, videos with restored faces out."""

from functools import partial
from pathlib import Path

from ..faces import Face
from ..runtime.atomic_write import refuse_existing
from ..video.pipeline import fix_video
from ..video_io import CONTAINERS, probe
from .arguments import Arguments
from .contents import VIDEOS
from .context import RunContext
from .films import detector_from, extras_of, film_of, films_on_cluster, in_parts, output_of, result_of, source_of
from .plan import ImageTask
from .report import ImageResult
from .run import process_all


def run(arguments: Arguments) -> int:
    """The exit status, see `process_all`."""
    media = VIDEOS._replace(written=tuple(CONTAINERS))
    return process_all(arguments, media, _fix, size_of=_size, on_cluster=films_on_cluster)


def _size(path: Path) -> tuple[int, int] | None:
    """(W, H) as it is shown."""
    try:
        height, width = probe(source_of(path, Arguments())).size
        return width, height
    except (OSError, ValueError):  # said when it is its turn
        return None


def _fix(task: ImageTask, context: RunContext) -> ImageResult:
    arguments, extras = context.arguments, extras_of(task, context)
    saving = context.faces_file(task)
    if saving:
        context.reserve(saving)
        if not arguments.overwrite:
            refuse_existing(saving)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    restored: list[list[Face]] = []  # of each frame
    how, progress = (context.restorer, context.options, extras), {"device": context.device, "tick": context.progress("frame")}
    if in_parts(task, arguments):
        film = film_of(task, context, extras)
        film.work(partial(detector_from, context), *how, **progress)
        done, restored = film.join()
    else:
        done = fix_video(
            source_of(task.source, arguments),
            task.target,
            detector_from(context, 0),
            *how,
            **output_of(task.source, arguments),
            **progress,
            show=lambda state: restored.append([one.found for one in state.tracked if saving and one.found]),
        )
    return result_of(task, context, done, restored)
