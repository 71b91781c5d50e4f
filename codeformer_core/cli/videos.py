"""`codeformer video`: videos in, videos with restored faces out."""

from pathlib import Path

from torch import Tensor

from ..detection.faces_json import to_json
from ..faces import Face
from ..image_io.numbered import RATE, is_pattern, numbered_frames
from ..options import DetectionOptions
from ..runtime.atomic_write import refuse_existing, write_bytes
from ..selection.report import left_as_they_are
from ..video.pipeline import fix_video
from ..video.stages import FrameState
from ..video_io import CONTAINERS, Frame, Source, frame_rate, probe, read_frames
from .arguments import Arguments
from .contents import VIDEOS
from .context import RunContext
from .networks import SavedFaces
from .plan import ImageTask
from .report import ImageResult
from .run import process_all


def run(arguments: Arguments) -> int:
    """The exit status, see `process_all`."""
    return process_all(arguments, VIDEOS._replace(written=tuple(CONTAINERS)), _fix, size_of=_size)


def _source(path: Path, arguments: Arguments) -> Source:
    """What is read: a file, or the numbered frames that a pattern stands for."""
    return numbered_frames(path, frame_rate(arguments.fps or RATE)) if is_pattern(path) else path


def _size(path: Path) -> tuple[int, int] | None:
    """(W, H) as it is shown."""
    try:
        height, width = probe(_source(path, Arguments())).size
        return width, height
    except (OSError, ValueError):  # said when it is its turn
        return None


class _FrameByFrame:
    """A detector that gives the saved faces of one frame after the other.

    Attributes:
        left: how many faces are of frames that have not come.
    """

    def __init__(self, saved: SavedFaces) -> None:
        self._saved, self._frame = saved, 0
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

    @property
    def left(self) -> int:
        return sum(map(len, self._faces.values()))


def _fix(task: ImageTask, context: RunContext) -> ImageResult:
    arguments, extras, detector = context.arguments, context.networks, context.detector
    source = _source(task.source, arguments)
    saving = arguments.save_faces if task.fidelity in (None, *arguments.fidelities[:1]) else None  # the same for every fidelity
    if saving:
        context.reserve(saving)
        if not arguments.overwrite:
            refuse_existing(saving)
    if isinstance(detector, SavedFaces):
        detector = _FrameByFrame(detector)
    restored: list[list[Face]] = []  # of each frame

    def show(done: FrameState[Frame]) -> None:
        if saving:
            restored.append([one.found for one in done.tracked if one.found])

    if arguments.inside or arguments.keep_out or arguments.fidelity_mask:
        # The masks must have the aspect ratio of the first frame.
        first = next(read_frames(source, arguments.start, count=1)).image(context.device)
        extras = context.extras(task, first)
    task.target.parent.mkdir(parents=True, exist_ok=True)
    done = fix_video(
        source,
        task.target,
        detector,
        context.restorer,
        context.options,
        extras,
        start=arguments.start,
        duration=arguments.duration,
        fps=arguments.fps if source is task.source else 0.0,
        codec=arguments.codec,
        crf=arguments.crf,
        overwrite=arguments.overwrite,
        device=context.device,
        tick=context.progress("frame"),
        show=show,
    )
    lines = [*left_as_they_are(done.left_alone), *done.notices]
    if isinstance(detector, _FrameByFrame) and detector.left:
        lines.append(
            f"{detector.left} saved faces are of frames after the last one: they were made with another part of the video"
        )
    if saving:
        faces = [face._replace(image_index=index) for index, own in enumerate(restored) for face in own]
        size = probe(source).size
        write_bytes(saving, to_json(faces, size).encode(), arguments.overwrite)
        lines.append(f"faces saved: {len(faces)} -> {saving}")
    none = "no face restored" if done.left_alone else "no face found"
    faces = f"faces in {done.with_faces} of them: {done.people} found and restored" if done.people else none
    line = f"{task.source}: {done.frames} frames, {faces} -> {task.target}"
    alone = sum(done.left_alone.values())
    return ImageResult(task.target, [line, *lines], done.people + alone, done.people)
