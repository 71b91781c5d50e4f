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
TimedFrame = tuple[int, av.VideoFrame]


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
    _restamped: int = 0

    def frames(self, begin: int | None = None) -> Iterator[TimedFrame]:
        """The frames from the range's start, or from the PTS `begin` in it, to its end."""
        begin = self.window.start if begin is None else begin
        last = None
        try:
            with self._open_at(begin) as container:
                for pts, frame in self._with_repaired_pts(self._decoded(container)):
                    if begin is not None and pts < begin:
                        continue
                    if self.window.end is not None and pts >= self.window.end:
                        return
                    last = pts + (frame.duration or self._frame_duration)
                    yield pts, frame
            self._report_end(last)
        finally:
            self._report()

    def pts_of(self, number: int) -> int | None:
        """The PTS of a frame, counted from the range's start, by demuxing without decoding; None where that is not certain."""
        start, smallest = self.window.start, []
        with open_video(self.source) as container:
            stream = first_stream(container)
            if not self.video.container.startswith(("mov", "matroska")) or stream.codec_context.name not in _COUNTABLE:
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

    def _open_at(self, begin: int | None) -> av.container.InputContainer:
        """The file, opened and sought to a keyframe from which the frame at `begin` and all later ones decode completely.

        Some containers seek by DTS, and with open GOPs the frames after a keyframe may refer to ones before it: the position
        is good when a keyframe at or before `begin` is the first frame in display order.
        """
        if begin is None:
            return open_video(self.source)
        for margin in (0, 2, 10):  # seconds to go back further; reopened each time, since a flushed decoder may lose frames
            with open_video(self.source) as container:
                target = begin - round(margin / self.video.time_base)
                if not self._seek(container, first_stream(container), target):
                    break
                first = next(self._decoded(container, count_damage=False), None)
                pts = first.pts if first is not None and first.key_frame else None
            if pts is not None and pts <= begin:
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
                    pts = packet.pts if packet.pts is not None else packet.dts
                    damaged.append(float((pts or 0) * self.video.time_base))
                    continue
                for frame in frames:
                    if frame.is_corrupt:
                        damaged.append(float((frame.pts or 0) * self.video.time_base))
                    yield frame
        except BROKEN as error:
            if count_damage:
                self.notices.append(f"{self.video.name} cannot be read to its end ({error}): what follows is left out.")

    @property
    def _frame_duration(self) -> int:
        """The duration of a frame at the average rate, in the time base."""
        return max(1, round(1 / (self.video.rate * self.video.time_base))) if self.video.rate else 1

    def _with_repaired_pts(self, frames: Iterator[av.VideoFrame]) -> Iterator[TimedFrame]:
        """Frames with strictly increasing PTS, all with the size and pixel format of the first."""
        duration, last, shift, size = self._frame_duration, None, 0, None
        for frame in frames:
            pts = frame.pts if frame.pts is not None else frame.dts
            if pts is None:
                pts = last + duration if last is not None else 0
                self._restamped += 1
            else:
                pts += shift
                if last is not None and pts <= last:
                    self._restamped += 1
                    # Over a second back is a discontinuity, as in joined files.
                    restarts = (last - pts) * self.video.time_base > 1
                    shift += last + duration - pts if restarts else 0
                    pts = last + (duration if restarts else 1)
            last = pts
            found = (frame.width, frame.height, frame.format.name)
            size = size or found
            if found != size:
                self._note_size(found, pts)
                frame = frame.reformat(width=size[0], height=size[1], format=size[2])
            yield pts, frame

    def _note_size(self, kind: tuple[int, int, str], pts: int) -> None:
        change = "changes its size on the way"
        if not any(change in notice for notice in self.notices):
            at = float(pts * self.video.time_base)
            height, width = self.video.stored_size
            found = f"{self.video.name} {change} (to {kind[0]} x {kind[1]} at {at:.2f} s)"
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
        if count := self._restamped:
            self.notices.append(
                f"{name}: {count} frames had no time of their own, or one that is not behind the frame before: set anew."
            )

    def _report_end(self, last: int | None) -> None:
        """Add a notice when the file ends too early; `last` is the PTS at the end of the last frame."""
        if last is None or not self.video.measured or not self.video.duration:
            return
        reached = float(last * self.video.time_base) - self.video.begin
        if self.video.duration - reached > max(_MISSING, 3 * float(self._frame_duration * self.video.time_base)):
            found = f"{self.video.name} should last {self.video.duration:.1f} s and ends at {reached:.1f} s"
            self.notices.append(f"{found}: it is cut off, or damaged at the end. What is there was read.")
