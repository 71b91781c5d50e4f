"""A film worked on in parts: it outlasts a kill, a power failure and a full disk, and several machines can share it.

A part ends at a shot cut, where tracking begins anew, or within a long shot. When it is finished it is on the disk, in a hidden
folder beside the new film, with the detections of its frames. Work that goes on within a shot reads the shot from its start and
takes these detections, so that tracks, choices and tints are the very same; the result is equal bit for bit, wherever the work
was interrupted or by whom it was done.
"""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import torch

from ..extras import Extras
from ..faces import Detector, Face
from ..options import FixOptions
from ..runtime.atomic_write import remove_abandoned
from ..runtime.fingerprint import fingerprint
from ..runtime.prefetch import prefetch
from ..runtime.progress import Tick, no_tick
from ..video_io import Frame, Part, PartsWriter, estimate_frames, frame_rate, read_frames, read_part, resample
from ..video_io.reader import FrameReader
from . import stages
from .film_parts import PartLog, Place, checksum, continued, end_of, faces_of, is_border, place_of
from .network_stages import SteadyRestorer
from .pipeline import PREFETCHED, FixedVideo, fix_stream
from .scene_cuts import SceneCutDetector
from .stages import Begin


class Stretch(NamedTuple):
    """Consecutive parts that can be worked on by themselves: from a shot cut on, up to the frame `end`; None are its ends."""

    begin: Place | None = None
    end: int | None = None

    @property
    def number(self) -> int:
        """Of its first frame."""
        return self.begin.number if self.begin else 0


@dataclass(frozen=True)
class Film:
    """A new film that is made in parts; every process that works on it has an equal one.

    Attributes:
        source, path: files; see `fix_video`, as the others.
        identity: a `fingerprint` of all that its pixels depend on: parts with another one are not used.
    """

    source: Path
    path: Path
    identity: str
    start: float = 0.0
    duration: float = 0.0
    fps: float = 0.0
    codec: str | None = None
    crf: int | None = None
    overwrite: bool = False
    preset: str = "medium"
    hardware: bool = False

    @property
    def folder(self) -> Path:
        """Where the parts are; of another target or identity it is another one."""
        encoded = self.codec, self.crf, self.preset, self.hardware
        return self.path.with_name(f"{self._folders}{fingerprint(self.identity, *encoded, self._range)[:16]}.parts")

    def work(
        self,
        detector: Callable[[int], Detector],
        restorer: SteadyRestorer,
        options: FixOptions = FixOptions(),
        extras: Extras = Extras(),
        *,
        device: torch.device | str = "cpu",
        tick: Tick = no_tick,
        stretch: Stretch = Stretch(),
    ) -> None:
        """Work on what is not finished yet of a stretch.

        Args:
            detector: from the number of a frame to a detector for the frames from there on.
            restorer, options, extras, device, tick: see `fix_video`.

        Raises:
            OSError, ValueError, RuntimeError: see `fix_video`. Parts that are finished stay.
        """
        done = self.finished(stretch)
        if done and (done[-1].about["last"] or end_of(done[-1]) == stretch.end):
            return
        begin, place, skipped = continued(done) if done else (Begin(stretch.number), stretch.begin, 0)
        reader, frames = self._read(place, skipped, stretch.end)
        total = estimate_frames(reader.video, self.start, self.duration, rate=self._rate)
        whole_frame = stages.changes_every_pixel(options, extras)
        remove_abandoned(self.folder)
        tick(begin.number, max(total, begin.number) if total else 0)
        try:
            with closing(reader), self._writer(begin.number) as writer, prefetch(frames, PREFETCHED) as prefetched:
                part = PartLog(begin.number, place if begin.known else None)
                for state in fix_stream(prefetched, detector(begin.number), restorer, options, extras, device, begin):
                    if part.ends_before(state):
                        writer.end_part(part.about(cut=part.shot != state.shot))
                        part = PartLog(part.number + part.frames, part.shot_begin, part.shot)
                    part.add(state, reader.regular and self._rate is None)
                    writer.write(state.frame, state.image, None if whole_frame else state.mask)
                    count = part.number + part.frames
                    tick(count, max(total, count) if total else 0)
                writer.end_part(part.about(cut=True, last=stretch.end is None, notices=reader.notices))
        finally:
            with suppress(OSError):  # there are parts in it
                self.folder.rmdir()

    def stretches(self) -> Iterator[Stretch]:
        """What can be worked on at the same time, in order; all frames are decoded for it."""
        cuts, begin, frames = SceneCutDetector(), None, 0
        reader, decoded = self._read(None, 0, None)
        with closing(reader):
            for number, frame in enumerate(decoded):
                (cut,) = cuts.push(frame.image())
                if is_border(frames, cut):
                    frames = 0
                    if cut:
                        yield Stretch(begin, number)
                        begin = place_of(number, frame, reader.regular and self._rate is None)
                frames += 1
        yield Stretch(begin)

    def finished(self, stretch: Stretch = Stretch()) -> list[Part]:
        """The finished parts of a stretch, from its begin on and without a gap."""
        parts, number = list[Part](), stretch.number
        while number != stretch.end and (part := read_part(self.folder / f"{number:09}.part")):
            parts.append(part)
            number = end_of(part)
            if part.about["last"]:
                break
        return parts

    def join(self) -> tuple[FixedVideo, list[list[Face]]]:
        """Write the film of its parts, and remove them. Also returns the detections of the restored faces of each frame.

        Raises:
            OSError, ValueError: it cannot be written; the parts stay.
        """
        parts = self.finished()
        if not parts or not parts[-1].about["last"]:
            raise ValueError(f"{self.path.name} is not finished: found {len(parts)} parts. Work on the rest first.")
        writer = self._writer()
        writer.join(parts)
        tracks = set(chain.from_iterable(part.about["tracks"] for part in parts))
        harmed = {int(track): why for part in parts for track, why in part.about["harmed"].items()}
        left_alone = Counter(why for track, why in harmed.items() if track not in tracks)
        frames, with_faces = (sum(part.about[name] for part in parts) for name in ("frames", "with_faces"))
        found = [faces_of(rows) for part in parts for rows in part.about["restored"]]
        self.remove_parts()
        notices = [*parts[-1].about["notices"], *writer.notices]
        return FixedVideo(frames, with_faces, len(tracks), notices, left_alone), found

    def remove_parts(self) -> None:
        """Remove the parts of this target, also those of other options."""
        for folder in self.path.parent.glob(f"{self._folders}*.parts"):
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _folders(self) -> str:
        return f".codeformer-{hashlib.sha256(os.fsencode(self.path.name)).hexdigest()[:8]}-"

    @property
    def _range(self) -> tuple[float, ...]:
        return self.start, self.duration, self.fps

    @cached_property
    def _rate(self) -> Fraction | None:
        return frame_rate(self.fps) if self.fps else None

    def _writer(self, first: int = 0) -> PartsWriter:
        return PartsWriter(
            self.folder,
            self.path,
            self.source,
            first=first,
            codec=self.codec,
            crf=self.crf,
            start=self.start,
            duration=self.duration,
            rate=self._rate,
            overwrite=self.overwrite,
            preset=self.preset,
            hardware=self.hardware,
        )

    def _read(self, place: Place | None, skipped: int, end: int | None) -> tuple[FrameReader, Iterator[Frame]]:
        """The frames from a place on, without the first so many, up to the frame `end`; and their reader, to be closed."""
        if place is not None and place.pts is not None:
            reader = read_frames(self.source, self.start, self.duration, begin=place.pts)
            first = next(reader, None)
            if first is not None and checksum(first) == place.checksum:
                return reader, islice(chain((first,), reader), skipped, None if end is None else end - place.number)
            reader.close()  # it cannot be sought exactly
        reader = read_frames(self.source, self.start, self.duration)
        frames = reader if self._rate is None else resample(reader, self._rate)
        return reader, islice(frames, skipped + (place.number if place else 0), end)
