"""Write a video from its source and new pixels: everything else is kept."""

import errno
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.error
from torch import Tensor

from ..runtime.atomic_write import atomic_write, refuse_existing
from .codecs import CODECS, CONTAINERS
from .compose import FrameComposer
from .encode import VideoEncoder
from .probe import Source, probe
from .reader import Frame
from .remux import StreamCopier
from .time_range import time_range

_QUEUE_SIZE = 4  # frames in the encoder's queue: enough to even out its pace, little memory when they are enlarged

_ADVICE = {
    errno.ENOSPC: "Make room, or choose another disk",
    errno.EDQUOT: "Make room, or choose another disk",
    errno.EFBIG: "Choose another disk, or a shorter part",
    errno.ENOENT: "Choose a folder that exists",
    errno.ENOTDIR: "Choose a folder that exists",
}

_Item = tuple[Frame, Tensor | None, Tensor | None]


class VideoWriter:
    """Writes a video frame by frame. A context manager: the file is written atomically, on a clean exit or not at all.

    Unchanged samples go to the encoder bit for bit. PTS, rotation, colour space, bit depth, sample aspect ratio, audio, other
    streams, tags and chapters are the source's; `notices` names what could not be kept. Audio is stream-copied, or transcoded
    when the container does not support its codec. Matroska and WebM have a time base of a millisecond. A thread encodes from a
    short queue; its errors are raised by the next `write`, or on exit.

    Attributes:
        notices: sentences on what could not be kept; complete on exit.
    """

    def __init__(
        self,
        path: str | Path,
        source: Source,
        *,
        codec: str | None = "h264",
        crf: int | None = None,
        start: float = 0.0,
        duration: float = 0.0,
        overwrite: bool = False,
    ) -> None:
        """Nothing is written yet.

        Args:
            path: of the new file; its suffix is a row of `CONTAINERS`.
            source: the video of the frames; audio, other streams and tags are taken from it.
            codec: a row of `CODECS`; None is the container's first.
            crf: quality, lower is better; None is the codec's default.
            start, duration: the time range that the frames were read with, in seconds; all streams are cut to it.
            overwrite: replace an existing file.

        Raises:
            FileExistsError: there is a file and `overwrite` is not set, or it is the source itself.
            ValueError: the container, the codec or the quality is not supported; the source is not a video.
            OSError: the source cannot be opened.
        """
        self.path = Path(path)
        self.notices: list[str] = []
        suffix = self.path.suffix.lower()
        if suffix not in CONTAINERS:
            raise ValueError(
                f"{self.path.name} does not end in the name of a video format. Use one of {', '.join(CONTAINERS)}."
            )
        self._container = CONTAINERS[suffix]
        codec = codec or self._container.codecs[0]
        if codec not in self._container.codecs:
            raise ValueError(
                f"{self._container.name} holds {' or '.join(self._container.codecs)}, got {codec}. Use one of these."
            )
        self._encoder = CODECS[codec].encoder
        self._crf = self._encoder.crf if crf is None else crf
        if not 0 <= self._crf <= self._encoder.max_crf:
            raise ValueError(f"A crf of {crf} for {codec}, expected 0 to {self._encoder.max_crf}.")
        if isinstance(source, (str, Path)) and self.path.exists() and self.path.samefile(source):
            raise FileExistsError(f"{self.path} is the video that is read and cannot be written at once. Choose another name.")
        if not overwrite:
            refuse_existing(self.path)
        self._source, self._video = source, probe(source)
        self._window = time_range(self._video, start, duration)
        self._atomic = atomic_write(self.path, overwrite)
        self._queue: queue.Queue[_Item | None] = queue.Queue(_QUEUE_SIZE)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._abandoned = False

    def __enter__(self) -> "VideoWriter":
        temporary = self._atomic.__enter__()
        try:
            temporary.touch()  # a folder that cannot be written to raises before the work, not after it
        except OSError as error:
            with suppress(OSError):
                self._atomic.__exit__(type(error), error, error.__traceback__)
            raise self._explained(error) from error
        self._thread = threading.Thread(target=self._work, args=(temporary,), name="codeformer video writer", daemon=True)
        self._thread.start()
        return self

    def write(self, frame: Frame, image: Tensor | None = None, mask: Tensor | None = None) -> None:
        """Add a frame.

        Args:
            frame: of the source; without `image` it is encoded unchanged.
            image: (1, 3, H', W') RGB in [0, 1], in display orientation: the new pixels. H', W' are the same for all frames, the
                source's or a multiple.
            mask: (1, 1, H', W') in [0, 1]: where, and how much, `image` differs. Elsewhere the source's own samples are kept
                bit for bit. None is everywhere.

        Raises:
            OSError, ValueError: an earlier frame could not be written.
        """
        if self._thread is None:
            raise RuntimeError("A VideoWriter writes inside its `with` statement.")
        if self._error is not None:
            raise self._explained(self._error) from self._error
        self._queue.put((frame, image, mask))

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._abandoned = kind is not None
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure = value if value is not None else self._error
        try:
            self._atomic.__exit__(None if failure is None else type(failure), failure, trace)
        except OSError as error:
            raise self._explained(error) from error
        if kind is None and self._error is not None:
            raise self._explained(self._error) from self._error

    def _work(self, temporary: Path) -> None:
        """The encoding thread; it keeps an error for the next `write`."""
        items = filter(lambda _: not self._abandoned, iter(self._queue.get, None))
        try:
            self._write_all(temporary, items)
        except BaseException as error:  # noqa: BLE001 - raised by `write` or `__exit__`
            self._error = error
        for _ in items:  # drain the queue after an error, or `write` would block forever
            pass

    def _write_all(self, temporary: Path, items: Iterator[_Item]) -> None:
        first = next(items, None)
        if first is None:
            if not self._abandoned:
                raise ValueError(
                    f"No frame came for {self.path.name}, expected at least one. Choose another part of the video."
                )
            return
        composer = FrameComposer(self._video, self._window, self._encoder, first[0], first[1])
        options = self._container.options_for(self._video.time_base)
        with av.open(str(temporary), "w", format=self._container.format, options=options) as output:
            encoder = VideoEncoder(output, self._container, self._encoder, self._crf, composer)
            copier = StreamCopier(self._source, output, self._container, self._window)
            copier.copy_video_tags(encoder.stream)
            try:
                item: _Item | None = first
                while item is not None:
                    for packet in encoder.encode(composer.compose(*item)):
                        output.mux(packet)
                    copier.mux_until(Fraction(item[0].time))
                    item = None  # released while the next one is made
                    item = next(items, None)
                if not self._abandoned:
                    output.mux(encoder.encode(None))
                    copier.mux_until(None)
            finally:
                copier.close()
                self.notices += composer.notices + copier.notices

    def _explained(self, error: BaseException) -> BaseException:
        """The error to raise, with a message that says what to do."""
        if isinstance(error, OSError) and error.errno is not None:
            kind = type(OSError(error.errno, ""))  # PermissionError and the like
            advice = _ADVICE.get(error.errno, "Choose a folder that can be written to")
            return kind(f"{self.path} cannot be written: {error.strerror}. {advice}; no part of the file is left.")
        if isinstance(error, av.error.FFmpegError):
            return ValueError(f"{self._encoder.name} cannot encode {self._video.name} ({error.strerror}). Try another codec.")
        return error
