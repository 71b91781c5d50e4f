"""Films of the command line: what is made of a task in parts, here or on a cluster."""

import time
from collections import Counter
from collections.abc import Generator, MutableMapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import torch
from torch import Tensor

from .. import __version__
from ..detection.faces_json import to_json
from ..extras import Extras
from ..faces import Face
from ..image_io.numbered import RATE, is_pattern, numbered_frames
from ..options import DetectionOptions, Selection
from ..runtime.atomic_write import write_bytes
from ..runtime.fingerprint import fingerprint
from ..selection.report import left_as_they_are
from ..video.film import Film, Stretch
from ..video.pipeline import FixedVideo
from ..video_io import Source, frame_rate, probe, read_frames
from .arguments import Arguments
from .cluster import connected, died, work_on_cluster
from .context import RunContext
from .local import FAILURES, attempt, failed
from .networks import SavedFaces
from .plan import ImageTask
from .report import ImageResult, Outcome


def source_of(path: Path, arguments: Arguments) -> Source:
    """What is read: a file, or the numbered frames that a pattern stands for."""
    return numbered_frames(path, frame_rate(arguments.fps or RATE)) if is_pattern(path) else path


def in_parts(task: ImageTask, arguments: Arguments) -> bool:
    """Whether a task is worked on in parts: not one with numbered frames."""
    return arguments.resume and not is_pattern(task.source) and not is_pattern(task.target)


class _FrameByFrame:
    """A detector that gives the saved faces of one frame after the other, from the frame `first` on."""

    def __init__(self, saved: SavedFaces, first: int = 0) -> None:
        self._saved, self._frame = saved, first
        self._faces: dict[int, list[Face]] = {}
        for face in saved.faces:
            self._faces.setdefault(face.image_index, []).append(face)

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """The faces of the next frames (B, 3, H, W)."""
        faces = []
        for index in range(len(images)):
            own = self._faces.pop(self._frame, [])
            faces += [face._replace(image_index=index) for face in own]
            self._frame += 1
        return self._saved._replace(faces=faces).detect(images, options)


def detector_from(context: RunContext, first: int) -> Any:
    """The detector for the frames from `first` on."""
    saved = context.detector
    return _FrameByFrame(saved, first) if isinstance(saved, SavedFaces) else saved


def film_of(task: ImageTask, context: RunContext, extras: Extras) -> Film:
    """What is made of a task; frames and faces at once change no more of it than the rounding."""
    arguments, options = context.arguments, replace(context.options, chunk=1, batch=1)
    masks = extras.inside, extras.keep_out, extras.fidelity_mask, extras.people and extras.people.references
    identity = fingerprint(
        *(__version__, torch.__version__, av.__version__, av.library_versions),
        *(context.device.type, arguments.precision, arguments.compile, arguments.engine, options),
        *(task.source, arguments.faces_from, *context.files, *masks),
    )
    return Film(task.source, task.target, identity, **output_of(task.source, arguments))


def output_of(source: Path, arguments: Arguments) -> dict[str, Any]:
    """The arguments about the file that is written, and of what part of the video."""
    names = ("start", "duration", "fps", "codec", "crf", "overwrite", "preset", "hardware")
    output = {name: getattr(arguments, name) for name in names}
    return output | ({"fps": 0.0} if is_pattern(source) else {})  # of numbered frames it is their own rate


def extras_of(task: ImageTask, context: RunContext) -> Extras:
    """The networks and masks; these must have the aspect ratio of the first frame."""
    arguments = context.arguments
    if not (arguments.inside or arguments.keep_out or arguments.fidelity_mask):
        return context.networks
    first = next(read_frames(source_of(task.source, arguments), arguments.start, count=1))
    return context.extras(task, first.image(context.device))


def result_of(task: ImageTask, context: RunContext, done: FixedVideo, restored: Sequence[Sequence[Face]] = ()) -> ImageResult:
    """The result of a task, with the sentences for the user. `restored`: the faces of each frame, which --save-faces saves."""
    arguments, saving = context.arguments, context.faces_file(task)
    lines = [*left_as_they_are(done.left_alone), *done.notices]
    if isinstance(context.detector, SavedFaces):
        left = sum(face.image_index >= done.frames for face in context.detector.faces)
        if left:
            lines.append(f"{left} saved faces are of frames after the last one: they were made with another part of the video")
    if saving:
        faces = [face._replace(image_index=index) for index, own in enumerate(restored) for face in own]
        size = probe(source_of(task.source, arguments)).size
        write_bytes(saving, to_json(faces, size).encode(), arguments.overwrite)
        lines.append(f"faces saved: {len(faces)} -> {saving}")
    asked = "no face of those asked for found" if context.options.selection != Selection() else "no face found"
    none = "no face restored" if done.left_alone else asked
    frames = f"{done.frames} frame{'' if done.frames == 1 else 's'}"
    said = f"faces in {done.with_faces} of them: {done.people} found and restored" if done.people else none
    line = f"{task.source}: {frames}, {said} -> {task.target}"
    alone = sum(done.left_alone.values())
    return ImageResult(task.target, [line, *lines], done.people + alone, done.people)


def films_on_cluster(
    todo: Sequence[ImageTask], outcomes: MutableMapping[ImageTask, Outcome], context: RunContext
) -> Generator[ImageTask, None, None]:
    """Do tasks on a cluster; yields each when its outcome is known. What lies between two cuts is one item: films have many.

    Actors decode each film for its cuts, then work on the stretches; their parts are where the film will be, and the driver
    joins them.
    """
    begun, stretches = time.perf_counter(), list[tuple[ImageTask, Film, Stretch]]()
    with connected(context.arguments.cluster or "local"):
        with closing(work_on_cluster(todo, _planned, context.arguments, context.reserved)) as plans:
            for index, plan in plans:
                if isinstance(plan, list):
                    stretches += [(todo[index], *one) for one in plan]
                else:
                    outcomes[todo[index]] = plan or died(todo[index])
                    yield todo[index]
        if not stretches:
            return
        left = Counter(task for task, *_ in stretches)
        failures: dict[ImageTask, Outcome] = {}
        with closing(work_on_cluster(stretches, _attempt_stretch, context.arguments, context.reserved)) as rows:
            for index, outcome in rows:
                task, film, _ = stretches[index]
                left[task] -= 1
                outcome = outcome or died(task)
                if outcome.status == "failed":
                    failures[task] = outcome
                if not left[task]:
                    joined = partial(_joined, film=film)
                    outcome = failures.get(task) or attempt(task, context, joined)
                    outcomes[task] = outcome._replace(seconds=time.perf_counter() - begun)
                    yield task


def _planned(task: ImageTask, context: RunContext) -> list[tuple[Film, Stretch]] | Outcome:
    """What there is to do for a task; with the fidelity of the task."""
    try:
        if not in_parts(task, context.arguments):
            raise ValueError("numbered frames are worked on in one go: leave out --cluster.")
        task.target.parent.mkdir(parents=True, exist_ok=True)
        context = context.for_task(task)
        film = film_of(task, context, extras_of(task, context))
        return [(film, stretch) for stretch in film.stretches()]
    except FAILURES as error:
        return failed(task, error)


def _attempt_stretch(item: tuple[ImageTask, Film, Stretch], context: RunContext) -> Outcome:
    task, film, stretch = item
    return attempt(task, context, partial(_work_on, film=film, stretch=stretch))


def _work_on(task: ImageTask, context: RunContext, film: Film, stretch: Stretch) -> ImageResult:
    how = context.restorer, context.options, extras_of(task, context)
    film.work(partial(detector_from, context), *how, device=context.device, stretch=stretch)
    return ImageResult(task.target)


def _joined(task: ImageTask, context: RunContext, film: Film) -> ImageResult:
    return result_of(task, context, *film.join())
