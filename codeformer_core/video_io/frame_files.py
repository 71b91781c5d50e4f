"""Write the frames of a video as numbered images in place of a video."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from .. import image_io
from ..image_io import ImageFile
from ..image_io.numbered import NumberedFrames, frame_path
from ..runtime.atomic_write import write_bytes
from . import planes
from .reader import Frame
from .source import Source

_THREADS = 2  # encode beside the networks

_QUEUE_SIZE = 4  # frames that wait for them


class FrameFilesWriter:
    """Writes frames as images: those of a film from 1, numbered frames under their own numbers. A context manager.

    Each file is written atomically. Numbered frames keep their transparency, bits and metadata, and in the same format an
    unchanged frame is the very file; frames of a film become images of 8 or 16 bits, without its sound.

    Attributes:
        notices: sentences on what could not be kept; complete on exit.
    """

    def __init__(self, pattern: Path, source: Source, overwrite: bool = False) -> None:
        self._pattern, self._source, self._overwrite = pattern, source, overwrite
        self._written = 0
        self._lost: dict[str, None] = {}
        self._pending: deque[Future[tuple[str, ...]]] = deque()

    @property
    def notices(self) -> list[str]:
        return list(self._lost)

    def __enter__(self) -> "FrameFilesWriter":
        self._threads = ThreadPoolExecutor(_THREADS, "codeformer frame writer")
        return self

    def write(self, frame: Frame, image: Tensor | None = None, mask: Tensor | None = None) -> None:
        """Add a frame with its new pixels (1, 3, H', W') RGB in [0, 1]; without them it is unchanged.

        Raises:
            OSError, ValueError: an earlier frame could not be written.
        """
        self._written += 1
        while len(self._pending) >= _QUEUE_SIZE:
            self._finish_oldest()
        self._pending.append(self._threads.submit(self._write, frame, image, self._written))

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        try:
            while kind is None and self._pending:
                self._finish_oldest()
        finally:
            self._threads.shutdown(cancel_futures=True)

    def _finish_oldest(self) -> None:
        self._lost |= dict.fromkeys(self._pending.popleft().result())

    @torch.inference_mode()
    def _write(self, frame: Frame, image: Tensor | None, number: int) -> tuple[str, ...]:
        if isinstance(self._source, NumberedFrames):
            number = self._source.first + round((frame.raw.pts or 0) * frame.video.time_base * self._source.rate)
            path, original = frame_path(self._pattern, number), frame_path(self._source.pattern, number)
            if image is None and path.suffix.lower() == original.suffix.lower():
                write_bytes(path, original.read_bytes(), self._overwrite)
                return ()
            file = image_io.read(original)
            if image is not None:
                alpha = file.alpha
                if alpha is not None and alpha.shape[-2:] != image.shape[-2:]:
                    alpha = torch.nn.functional.interpolate(alpha, image.shape[-2:], mode="bilinear")
                file = replace(file, image=image, alpha=alpha, grey=file.grey and bool((image == image[:, :1]).all()))
            return (*file.notices, *image_io.write(file, path, self._overwrite))
        bits = 16 if planes.planar(frame.raw).format.components[0].bits > 8 else 8
        file = ImageFile(frame.image() if image is None else image, bits=bits)
        return image_io.write(file, frame_path(self._pattern, number), self._overwrite)
