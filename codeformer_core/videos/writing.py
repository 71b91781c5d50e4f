"""Writing a video beside its source: new pixels where they are given, everything else as it was."""

import os
import queue
import secrets
import threading
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.container
import av.error
from torch import Tensor

from . import codecs, planes
from .reading import Frame, window
from .source import Source, probe
from .streams import Companions

_WAITING = 4  # frames that may wait for the encoder


class VideoWriter:
    """Writes frames as they come. A context manager: the file appears whole on a clean exit, or not at all.

    Frames go through a short queue to a thread that encodes; its errors rise in the next `write`, or on leaving.

    Attributes:
        notices: sentences on what could not be kept; complete on leaving.

    Args:
        path: of the new file; .mp4, .mov, .mkv or .webm.
        source: the video that the frames are of: sound, other streams and metadata are taken from it.
        codec: one of `CODECS`.
        crf: quality, lower is better; None is the codec's default.
        start, duration: the window that the frames were read with, in seconds; the sound is cut to it.
        overwrite: replace an existing file.
    """

    def __init__(
        self,
        path: str | Path,
        source: Source,
        *,
        codec: str = "h264",
        crf: int | None = None,
        start: float = 0.0,
        duration: float = 0.0,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.notices: list[str] = []
        self._source = source
        self._video = probe(source)
        self._window = window(self._video, start, duration)
        self._encoder = codecs.encoder_of(codec)
        self._crf = self._encoder.crf if crf is None else crf
        self._temporary = self.path.with_name(f".codeformer-{secrets.token_hex(8)}.part")
        self._waiting: queue.Queue[tuple[Frame, Tensor | None, Tensor | None] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._overwrite = overwrite

    def __enter__(self) -> "VideoWriter":
        self._thread = threading.Thread(target=self._work, name="codeformer video", daemon=True)
        self._thread.start()
        return self

    def write(self, frame: Frame, image: Tensor | None = None, mask: Tensor | None = None) -> None:
        """Add a frame.

        Args:
            frame: the source's; without `image` it goes on untouched.
            image: (1, 3, H', W') RGB in [0, 1], upright: what it shows now. H', W' are the same for all frames, the source's
                or a multiple.
            mask: (1, 1, H', W') in [0, 1]: where `image` differs. Elsewhere the source's own samples are kept bit for bit.
        """
        if self._error is not None:
            raise self._error
        self._waiting.put((frame, image, mask))

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()
        if kind is not None or self._error is not None:
            self._temporary.unlink(missing_ok=True)
            if kind is None and self._error is not None:
                raise self._error
            return
        os.replace(self._temporary, self.path)

    def _work(self) -> None:
        try:
            self._encode()
        except BaseException as error:  # noqa: BLE001
            self._error = error
            while self._waiting.get() is not None:
                pass

    def _encode(self) -> None:
        suffix = self.path.suffix.lower()
        formats = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
        with av.open(self._temporary, "w", format=formats[suffix]) as output:
            stream = None
            companions = Companions(self._source, output, self._window)
            while (item := self._waiting.get()) is not None:
                frame, image, mask = item
                new = self.composed(frame, image, mask)
                if stream is None:
                    stream = output.add_stream(self._encoder.name, rate=self._video.rate or 30)
                    stream.width, stream.height, stream.pix_fmt = new.width, new.height, new.format.name
                    stream.codec_context.time_base = self._video.unit
                    stream.time_base = self._video.unit
                    stream.codec_context.options = {"crf": str(self._crf), **self._encoder.options}
                    colours = self._video.colours
                    stream.codec_context.color_range = colours.range
                    stream.codec_context.colorspace = colours.matrix
                    stream.codec_context.color_primaries = colours.primaries
                    stream.codec_context.color_trc = colours.transfer
                    if self._video.matrix is not None:
                        stream.set_display_matrix(self._video.matrix)
                    companions.add()
                for packet in stream.encode(new):
                    companions.until(frame.time)
                    output.mux(packet)
            if stream is not None:
                output.mux(stream.encode(None))
                companions.until(None)

    def composed(self, frame: Frame, image: Tensor | None, mask: Tensor | None) -> av.VideoFrame:
        raw = planes.planar(frame.raw)
        new = planes.copy(raw, codecs.pixel_format(self._encoder.name, raw.format.name))
        if image is not None:
            pixels = self._video.turn.stored(image)
            if mask is None:
                planes.fill(new, self._video.colours, pixels)
            else:
                planes.put(new, self._video.colours, pixels, self._video.turn.stored(mask))
        new.time_base = self._video.unit
        new.pts = int(Fraction(frame.time) / self._video.unit)
        return new
