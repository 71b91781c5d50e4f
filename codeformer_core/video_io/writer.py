"""Write a video from its source and new pixels: everything else is kept."""

import queue
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any

import av
from av.container import OutputContainer
from av.error import FFmpegError
from torch import Tensor

from ..runtime.atomic_write import NOTHING_LEFT, atomic_write, cannot_be_written, refuse_existing
from .codecs import CONTAINERS, PRESETS, Encoder, opens
from .compose import FrameComposer
from .encode import VideoEncoder
from .hardware import find_hardware
from .probe import probe
from .reader import Frame
from .remux import StreamCopier
from .source import Source
from .time_range import time_range

_QUEUE_SIZE = 4  # frames in the encoder's queue: enough to even out its pace, little memory when they are enlarged

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

    _left = NOTHING_LEFT

    def __init__(
        self,
        path: str | Path,
        source: Source,
        *,
        codec: str | None = "h264",
        crf: int | None = None,
        start: float = 0.0,
        duration: float = 0.0,
        rate: Fraction | None = None,
        overwrite: bool = False,
        preset: str = "medium",
        hardware: bool = False,
    ) -> None:
        """Nothing is written yet.

        Args:
            path: of the new file; its suffix is a row of `CONTAINERS`.
            source: the video of the frames; audio, other streams and tags are taken from it.
            codec: a row of `CODECS`; None is the container's first.
            crf: quality, lower is better; None is the codec's default.
            start, duration: the time range that the frames were read with, in seconds; all streams are cut to it.
            rate: that of the frames, where they were resampled.
            overwrite: replace an existing file.
            preset: one of `codecs.PRESETS`.
            hardware: encode on a graphics card where one can; `notices` says where none can.

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
        self._source, self._video, self._overwrite = source, probe(source), overwrite
        self._rate = rate
        encoder = self._container.encoder_for(codec, self._video.rate if rate is None else rate, self._video.alpha)
        self._encoder, self._crf = encoder, encoder.crf if crf is None else crf
        if not 0 <= self._crf <= encoder.max_crf:
            raise ValueError(f"A crf of {crf} for {encoder.codec}, expected 0 to {encoder.max_crf}.")
        if preset not in PRESETS:
            raise ValueError(f"{preset!r} is no preset. Use one of: {', '.join(PRESETS)}.")
        self._preset, self._hardware = preset, hardware
        if isinstance(source, (str, Path)) and self.path.exists() and self.path.samefile(source):
            raise FileExistsError(f"{self.path} is the source video and is being read. Choose another name.")
        if not overwrite:
            refuse_existing(self.path)
        self._window = time_range(self._video, start, duration).with_lead(self._video)
        self._queue: queue.Queue[Any] = queue.Queue(_QUEUE_SIZE)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._abandoned = False
        self._composer: FrameComposer | None = None

    def __enter__(self) -> "VideoWriter":
        try:
            TemporaryFile(dir=self.path.parent).close()  # an unwritable folder raises before the work, not after it
        except OSError as error:
            raise self._explained(error) from error
        self._thread = threading.Thread(target=self._work, name="codeformer video writer", daemon=True)
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
        self._put((frame, image, mask))

    def _put(self, item: Any) -> None:
        if self._thread is None:
            raise RuntimeError("A VideoWriter writes inside its `with` statement.")
        if self._error is not None:
            raise self._explained(self._error) from self._error
        self._queue.put(item)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._thread is not None:
            self._abandoned = kind is not None
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        if kind is None and self._error is not None:
            raise self._explained(self._error) from self._error

    def _work(self) -> None:
        """The encoding thread; it keeps an error for the next `write`."""
        items = filter(lambda _: not self._abandoned, iter(self._queue.get, None))
        try:
            self._write_all(items)
        except BaseException as error:  # noqa: BLE001 - raised by `write` or `__exit__`
            self._error = error
        for _ in items:  # drain the queue after an error, or `write` would block forever
            pass

    def _write_all(self, items: Iterator[_Item]) -> None:
        with atomic_write(self.path, self._overwrite) as temporary:
            composer, composed = self._composed(items)
            self._mux(temporary, composer, partial(self._encoded, composed))
            self._refuse_abandoned()

    def _refuse_abandoned(self) -> None:
        if self._abandoned:
            raise InterruptedError("The rest of the frames does not come: the file is removed.")

    def _composed(self, items: Iterator[_Item]) -> tuple[FrameComposer, Iterator[av.VideoFrame]]:
        """The frames for the encoder, and what composes them."""
        first = next(items, None)
        if first is None:
            raise ValueError(f"Got no frame for {self.path.name}, expected at least one. Choose another part of the video.")
        composer = self._composer_for(*first[:2])
        waiting = [first]
        del first  # released while the next one is made

        def frames() -> Iterator[av.VideoFrame]:
            yield composer.compose(*waiting.pop())
            for item in items:
                composed = composer.compose(*item)
                del item
                yield composed

        return composer, frames()

    def _composer_for(self, frame: Frame, image: Tensor | None) -> FrameComposer:
        def compose_for(encoder: Encoder) -> FrameComposer:
            return FrameComposer(self._video, self._window, encoder, frame, image, self._rate, self._container)

        composer = compose_for(self._encoder)
        if self._hardware and not composer.interlaced:
            faster = find_hardware(self._encoder.codec, *composer.kind)
            if faster is not None:
                self._encoder, composer = faster, compose_for(faster)
        if self._hardware and not self._encoder.hardware:
            self.notices.append(f"No graphics card here encodes this video in {self._encoder.codec}: the processor did it.")
        self._composer = composer
        return composer

    def _encoder_for(self, output: OutputContainer, composer: FrameComposer) -> VideoEncoder:
        return VideoEncoder(output, self._container, self._encoder, self._encoder.settings(self._crf, self._preset), composer)

    @staticmethod
    def _encoded(frames: Iterator[av.VideoFrame], encoder: VideoEncoder) -> Iterator[tuple[Fraction | None, list[av.Packet]]]:
        """The packets of frames, and the time until which other streams may follow; None is their end."""
        for frame in frames:
            seconds = (frame.pts or 0) * Fraction(frame.time_base or 1)
            yield seconds, encoder.encode(frame)
        yield None, encoder.encode(None)

    def _mux(
        self,
        path: Path,
        composer: FrameComposer,
        encoded: Callable[[VideoEncoder], Iterator[tuple[Fraction | None, list[av.Packet]]]],
    ) -> None:
        """Write a file of the packets that `encoded` gives for an encoder, with the other streams of the source."""
        options = self._container.options_for(composer.video.time_base)
        with av.open(str(path), "w", format=self._container.format, options=options) as output:
            encoder = self._encoder_for(output, composer)
            copier = StreamCopier(self._source, output, encoder.stream, self._container, self._window)
            try:
                for seconds, packets in encoded(encoder):
                    copier.mux(packets)
                    copier.mux_until(seconds)
            finally:
                copier.close()
                self.notices += dict.fromkeys(composer.notices + copier.notices)

    def _explained(self, error: BaseException) -> BaseException:
        """The error to raise, with a message that says what to do."""
        if isinstance(error, OSError) and error.errno is not None:
            return cannot_be_written(self.path, error, self._left)
        if isinstance(error, FFmpegError):
            if (composer := self._composer) is None or opens(self._encoder, *composer.kind):
                return ValueError(f"{self.path.name} cannot be written ({error.strerror}). Write a .mkv, which holds the most.")
            advice = self._container.advice(*composer.kind)
            return ValueError(f"{self._encoder.name} cannot encode {self._video.name} ({error.strerror}). {advice}")
        return error
