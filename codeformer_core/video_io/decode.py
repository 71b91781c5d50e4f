"""Decode a time range of a video: error concealment, strictly increasing PTS, exact seeking to a keyframe."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import av.container
import av.error
import av.video.stream

from .probe import BROKEN, Source, Video, first_stream, open_video
from .time_range import TimeRange

# Codecs whose packets each hold one displayed frame, so that counting packets counts frames.
_COUNTABLE = {"h264", "hevc", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "prores", "ffv1"}

_REORDERED = 32  # packets; B-frames reorder by at most 16 (H.264 and HEVC, largest decoded picture buffer)

_MISSING = 0.2  # seconds; containers differ by less in how they count the duration of the last frame

_NAMED = 5  # damaged positions that a notice lists


#: A decoded frame and its PTS in the time base `Video.unit`.
StampedFrame = tuple[int, av.VideoFrame]


@dataclass
class FrameDecoder:
    """Decodes the frames of a time range.

    Attributes:
        notices: sentences on damage in the file; complete when all frames are read.
    """

    source: Source
    video: Video
    window: TimeRange
    notices: list[str] = field(default_factory=list)
    _damaged: list[float] = field(default_factory=list)
    _mended: int = 0

    def frames(self, begin: int | None = None) -> Iterator[StampedFrame]:
        """The frames from the range's start, or from the PTS `begin` in it, to its end."""
        begin = self.window.start if begin is None else begin
        last = None
        try:
            with self._opened_at(begin) as container:
                for stamp, frame in self._mend(self._decoded(container)):
                    if begin is not None and stamp < begin:
                        continue
                    if self.window.end is not None and stamp >= self.window.end:
                        return
                    last = stamp + (frame.duration or self._nominal)
                    yield stamp, frame
            self._report_end(last)
        finally:
            self._report()

    def stamp_of(self, number: int) -> int | None:
        """The PTS of a frame, counted from the range's start, by demuxing without decoding; None where that is not certain."""
        start, smallest = self.window.start, []
        with open_video(self.source) as container:
            stream = first_stream(container)
            kinds = ("mov", "matroska")
            if not self.video.container.startswith(kinds) or stream.codec_context.name not in _COUNTABLE:
                return None
            self._seek(container, stream, start)
            try:
                for packet in container.demux(stream):
                    if packet.size == 0 or packet.is_discard:
                        continue
                    if packet.pts is None or packet.is_corrupt:
                        return None
                    if start is None or packet.pts >= start:
                        heapq.heappush(smallest, packet.pts)
                    if len(smallest) > number + _REORDERED:
                        break
            except BROKEN:
                return None
        return heapq.nsmallest(number + 1, smallest)[-1] if number < len(smallest) else None

    def _opened_at(self, begin: int | None) -> av.container.InputContainer:
        """The file, opened and sought to a keyframe from which the frame at `begin` and all later ones decode completely.

        Some containers seek by DTS, and with open GOPs the frames after a keyframe may refer to ones before it: the position
        is good when a keyframe at or before `begin` is the first frame in display order.
        """
        if begin is None:
            return open_video(self.source)
        for margin in (
            0,
            2,
            10,
        ):  # seconds to go back further; the file is reopened each time, since a flushed decoder may lose frames
            with open_video(self.source) as container:
                target = begin - round(margin / self.video.unit)
                if not self._seek(container, first_stream(container), target):
                    break
                first = next(self._decoded(container, count_damage=False), None)
                stamp = first.pts if first is not None and first.key_frame else None
            if stamp is not None and stamp <= begin:
                container = open_video(self.source)
                self._seek(container, first_stream(container), target)
                return container
        return open_video(self.source)

    @staticmethod
    def _seek(container: av.container.InputContainer, stream: av.video.stream.VideoStream, target: int | None) -> bool:
        """Seek to the keyframe before a PTS; False when the file cannot be sought."""
        if target is None:
            return True
        try:
            container.seek(max(target, stream.start_time or 0), stream=stream)
        except BROKEN:
            return False
        return True

    def _decoded(self, container: av.container.InputContainer, count_damage: bool = True) -> Iterator[av.VideoFrame]:
        """Decoded frames in display order. As in FFmpeg, damaged frames are concealed or dropped."""
        stream = first_stream(container)
        stream.thread_type = "AUTO"
        damaged = self._damaged if count_damage else []
        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    stamp = packet.pts if packet.pts is not None else packet.dts
                    damaged.append(float((stamp or 0) * self.video.unit))
                    continue
                for frame in frames:
                    if frame.is_corrupt:
                        damaged.append(float((frame.pts or 0) * self.video.unit))
                    yield frame
        except BROKEN as error:
            if count_damage:
                self.notices.append(f"{self.video.name} cannot be read to its end ({error}): what follows is left out.")

    @property
    def _nominal(self) -> int:
        """The duration of a frame at the average rate, in the time base."""
        return max(1, round(1 / (self.video.rate * self.video.unit))) if self.video.rate else 1

    def _mend(self, frames: Iterator[av.VideoFrame]) -> Iterator[StampedFrame]:
        """Frames with strictly increasing PTS, all with the size and pixel format of the first."""
        nominal, last, shift, size = self._nominal, None, 0, None
        for frame in frames:
            stamp = frame.pts if frame.pts is not None else frame.dts
            if stamp is None:
                stamp = last + nominal if last is not None else 0
                self._mended += 1
            else:
                stamp += shift
                if last is not None and stamp <= last:
                    self._mended += 1
                    restarts = (last - stamp) * self.video.unit > 1  # over a second back: a discontinuity, as in joined files
                    shift += last + nominal - stamp if restarts else 0
                    stamp = last + (nominal if restarts else 1)
            last = stamp
            found = (frame.width, frame.height, frame.format.name)
            size = size or found
            if found != size:
                self._note_size(found, stamp)
                frame = frame.reformat(width=size[0], height=size[1], format=size[2])
            yield stamp, frame

    def _note_size(self, kind: tuple[int, int, str], stamp: int) -> None:
        words = "changes its size on the way"
        if not any(words in notice for notice in self.notices):
            at = float(stamp * self.video.unit)
            height, width = self.video.stored_size
            found = f"{self.video.name} {words} (to {kind[0]} x {kind[1]} at {at:.2f} s)"
            self.notices.append(f"{found}: fitted to the first size, {width} x {height}.")

    def _report(self) -> None:
        """Add the notices on damaged frames and repaired PTS."""
        name, places = self.video.name, sorted(set(self._damaged))
        if places:
            named = ", ".join(f"{time:.2f}" for time in places[:_NAMED])
            self.notices.append(
                f"{name} is damaged at {named} s{' and elsewhere' if len(places) > _NAMED else ''}: what could not be decoded "
                "there was guessed from its neighbours, or left out, in which case the frame before stands longer."
            )
        if self._mended:
            self.notices.append(
                f"{name}: {self._mended} frames had no time of their own, or one that is not behind the frame before: set anew."
            )

    def _report_end(self, last: int | None) -> None:
        """Add a notice when the file ends too early; `last` is the PTS at the end of the last frame."""
        if last is None or not self.video.measured or not self.video.duration:
            return
        reached = float(last * self.video.unit) - self.video.begin
        if self.video.duration - reached > max(_MISSING, 3 * float(self._nominal * self.video.unit)):
            found = f"{self.video.name} should last {self.video.duration:.1f} s and ends at {reached:.1f} s"
            self.notices.append(f"{found}: it is cut off, or damaged at the end. What is there was read.")
