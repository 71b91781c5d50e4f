"""A video in parts: the packets of each in a durable file of its own, joined into one file without encoding anything again.

Every part is encoded by itself and begins with a keyframe. Its file holds the packets, then their index as JSON, then the
length of the index in eight bytes.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import av
import torch
from av.packet import PacketSideData, packet_sidedata_type_from_literal

from ..runtime.atomic_write import atomic_write
from .encode import VideoEncoder
from .reader import read_frames
from .source import Source
from .writer import VideoWriter

#: Side data of a packet with its transparency: VP9 in Matroska and WebM.
_ALPHA = "matroska_block_additional"

_LENGTH = 8  # bytes


class _Row(NamedTuple):
    """A packet in the index of its part: PTS, bytes, bytes of transparency behind them, and whether it is a keyframe."""

    pts: int
    size: int
    alpha: int
    key: bool


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes:
        path: of its file.
        rows: its packets in decoding order.
        delay: how many of them come before the first frame can be shown.
        end: the PTS at which its last frame ends.
        size: (H, W) of its frames as they are stored.
        extradata: the encoder's header, as hexadecimal digits.
        about: what `PartsWriter.end_part` was told.
    """

    path: Path
    rows: Sequence[_Row]
    delay: int
    end: int
    size: tuple[int, int]
    extradata: str
    about: dict[str, Any]

    def packets(self) -> Iterator[tuple[_Row, av.Packet]]:
        """The packets, without time stamps."""
        with self.path.open("rb") as file:
            for row in self.rows:
                packet = av.Packet(file.read(row.size))
                if row.alpha:
                    alpha = PacketSideData(packet_sidedata_type_from_literal(_ALPHA), row.alpha)  # pyright: ignore[reportCallIssue]
                    alpha.update(file.read(row.alpha))
                    packet.set_sidedata(alpha)
                packet.is_keyframe = row.key
                yield row, packet


def read_part(path: Path) -> Part | None:
    """A part; None where the file is not a whole one."""
    try:
        with path.open("rb") as file:
            end = file.seek(-_LENGTH, os.SEEK_END)
            length = int.from_bytes(file.read(), "big")
            index = json.loads(file.read(length) if file.seek(end - length) is not None else b"")
        rows = [_Row(*row) for row in index.pop("rows")]
        part = Part(path, rows, size=tuple(index.pop("size")), **index)
        return part if sum(row.size + row.alpha for row in rows) + length == end else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


class _End(NamedTuple):
    """Ends a part in the queue of frames."""

    about: dict[str, Any]


class PartsWriter(VideoWriter):
    """A `VideoWriter` whose frames go into parts, which `join` makes the video of. Parts outlast an error.

    Attributes:
        folder: of the parts, which have the number of their first frame as their name.
    """

    _left = "what is finished is kept, and the same command goes on from there."

    def __init__(self, folder: Path, path: Path, source: Source, *, first: int = 0, **more: Any) -> None:
        """`first`: the number of the first frame that is written; `more`: see `VideoWriter`."""
        super().__init__(path, source, **more)
        self.folder, self._next = folder, first
        self._range = more.get("start", 0.0), more.get("duration", 0.0)

    def __enter__(self) -> "PartsWriter":
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise self._explained(error) from error
        super().__enter__()
        return self

    def end_part(self, about: dict[str, Any]) -> None:
        """The frames since the last call are a part; `about` is kept with it, as JSON."""
        self._put(_End(about))

    def join(self, parts: Sequence[Part]) -> None:
        """Write the video of all its parts, in order."""
        try:
            frames = read_frames(self._source, *self._range)
            first = next(frames)
            frames.close()
            image = torch.empty(1, 3, *self._video.orientation.size(parts[0].size), device="meta")
            composer = self._composer_for(first, image)
            with atomic_write(self.path, self._overwrite, durable=True) as temporary:
                self._mux(temporary, composer, partial(_joined, parts))
        except Exception as error:
            raise self._explained(error) from error

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, FileNotFoundError) and self.path.exists():  # whoever joins the parts removes them
            return FileExistsError(f"{self.path} was made by another run in the meantime, and is left as that made it.")
        return super()._explained(error)

    def _write_all(self, items: Iterator[Any]) -> None:
        for first in items:
            with atomic_write(self.folder / f"{self._next:09}.part", overwrite=True, durable=True) as temporary:
                self._next += self._write_part(temporary, chain([first], items))

    def _write_part(self, path: Path, items: Iterator[Any]) -> int:
        ended, count = list[_End](), 0

        def until_end() -> Iterator[Any]:
            nonlocal count
            for item in items:
                if isinstance(item, _End):
                    ended.append(item)
                    return
                count += 1
                yield item
                del item

        composer, frames = self._composed(until_end())
        rows, early = list[_Row](), list[int]()
        with av.open(os.devnull, "w", format=self._container.format) as nowhere, path.open("wb") as file:
            encoder = self._encoder_for(nowhere, composer)
            for _, packets in self._encoded(frames, encoder):
                for packet in packets:
                    alpha = bytes(packet.get_sidedata(_ALPHA)) if packet.has_sidedata(_ALPHA) else b""
                    row = _Row(packet.pts or 0, packet.size, len(alpha), packet.is_keyframe)
                    file.write(bytes(packet) + alpha)
                    rows.append(row)
                    early.append(packet.dts or 0)
            self._refuse_abandoned()
            shown = min(row.pts for row in rows)
            index = {
                "rows": rows,
                "delay": sum(decoded < shown for decoded in early),
                "end": encoder.end,
                "size": composer.size,
                "extradata": (encoder.stream.codec_context.extradata or b"").hex(),
                "about": ended[0].about,
            }
            text = json.dumps(index, allow_nan=False).encode()
            file.write(text + len(text).to_bytes(_LENGTH, "big"))
        return count


def _joined(parts: Sequence[Part], encoder: VideoEncoder) -> Iterator[tuple[Fraction | None, list[av.Packet]]]:
    """The packets of all parts, for `VideoWriter._mux`.

    DTS are made anew, since those of a part may begin before the last one's end: each is the PTS that is `delay` places earlier
    in the order of display, as encoders have them.
    """
    encoder.open()
    context = encoder.stream.codec_context
    if {part.extradata for part in parts} != {(context.extradata or b"").hex()}:
        raise ValueError("The parts of the film do not fit together. Remove them, or work without them: --no-resume.")
    shown = sorted(row.pts for part in parts for row in part.rows)
    following = dict(zip(shown, [*shown[1:], parts[-1].end], strict=True))
    delay, unit = min(max(part.delay for part in parts), len(shown) - 1), Fraction(context.time_base or 1)
    begin = 0, 0
    for index, (row, packet) in enumerate(chain.from_iterable(part.packets() for part in parts)):
        packet.stream, packet.time_base = encoder.stream, unit
        packet.pts, packet.duration = row.pts, following[row.pts] - row.pts
        packet.dts = shown[index - delay] if index >= delay else shown[index] - (shown[delay] - shown[0])
        if index == 0:
            begin = packet.pts, packet.dts
        if index == len(shown) - 1:
            encoder.end_with(packet, *begin, parts[-1].end)
        yield row.pts * unit, [packet]
    yield None, []
