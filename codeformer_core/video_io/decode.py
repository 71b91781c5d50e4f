"""From a file to decoded frames with rising time stamps, whatever is wrong with the file."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import av.container
import av.error
import av.video.stream

from .probe import BROKEN, Source, Video, first_stream, open_video
from .time_range import TimeRange

# Containers and codecs where one packet is one frame that is shown, so that counting packets counts frames.
_COUNTABLE = {"h264", "hevc", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "prores", "ffv1"}

_REORDERED = 32  # packets; frames are shown at most 16 packets later than they are decoded (H.264 and HEVC, largest buffer)

_MISSING = 0.2  # seconds; less is how containers count the last frame's length

_NAMED = 5  # damaged places that a sentence names


@dataclass
class StampedFrame:
    """A decoded frame and its time stamp, in steps of `Video.unit`."""

    stamp: int
    frame: av.VideoFrame


@dataclass
class FrameDecoder:
    """The frames of a window of a file. `notices` says what was wrong, complete when all are read.

    Attributes:
        source, video, window: what is read.
        notices: sentences.
    """

    source: Source
    video: Video
    window: TimeRange
    notices: list[str] = field(default_factory=list)
    _damaged: list[float] = field(default_factory=list)
    _mended: int = 0

    def frames(self, begin: int | None = None) -> Iterator[StampedFrame]:
        """From the window's start, or from the time stamp `begin` in it, to its end."""
        begin = self.window.start if begin is None else begin
        last = None
        try:
            with self._opened_at(begin) as container:
                for found in self._mend(self._decoded(container)):
                    if begin is not None and found.stamp < begin:
                        continue
                    if self.window.end is not None and found.stamp >= self.window.end:
                        return
                    last = found.stamp + (found.frame.duration or self._nominal)
                    yield found
            self._report_end(last)
        finally:
            self._report()

    def stamp_of(self, number: int) -> int | None:
        """Time stamp of a frame, counted from the window's start, without decoding; None where that is not sure."""
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
        """The file, opened and moved so that the frame at `begin` and all behind it will be decoded whole.

        Seeking goes by decoding time in some containers, and the frames just behind a key frame may need ones before it: the
        place is good when a key frame is the first to be shown from there, at or before `begin`.
        """
        if begin is None:
            return open_video(self.source)
        for margin in (0, 2, 10):  # seconds to go back further, in a new container: a flushed decoder may lose frames
            with open_video(self.source) as container:
                target = begin - round(margin / self.video.unit)
                if not self._seek(container, first_stream(container), target):
                    break
                found = next(self._decoded(container, count_damage=False), None)
                stamp = found.pts if found is not None and found.key_frame else None
            if stamp is not None and stamp <= begin:
                container = open_video(self.source)
                self._seek(container, first_stream(container), target)
                return container
        return open_video(self.source)

    @staticmethod
    def _seek(container: av.container.InputContainer, stream: av.video.stream.VideoStream, target: int | None) -> bool:
        """Move to the key frame before a time stamp; False when the file cannot do that."""
        if target is None:
            return True
        try:
            container.seek(max(target, stream.start_time or 0), stream=stream)
        except BROKEN:
            return False
        return True

    def _decoded(self, container: av.container.InputContainer, count_damage: bool = True) -> Iterator[av.VideoFrame]:
        """Decoded frames in the order in which they are shown. Like FFmpeg: what is damaged is concealed or left out."""
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
        """Steps from one frame to the next at the average rate."""
        return max(1, round(1 / (self.video.rate * self.video.unit))) if self.video.rate else 1

    def _mend(self, frames: Iterator[av.VideoFrame]) -> Iterator[StampedFrame]:
        """Give each frame a time stamp above the one before, and the first one's size."""
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
                    again = (
                        last - stamp
                    ) * self.video.unit > 1  # more than a second back: time begins anew, as in joined files
                    shift += last + nominal - stamp if again else 0
                    stamp = last + (nominal if again else 1)
            last = stamp
            kind = (frame.width, frame.height, frame.format.name)
            size = size or kind
            if kind != size:
                self._note_size(kind, stamp)
                frame = frame.reformat(width=size[0], height=size[1], format=size[2])
            yield StampedFrame(stamp, frame)

    def _note_size(self, kind: tuple[int, int, str], stamp: int) -> None:
        words = "changes its size on the way"
        if not any(words in notice for notice in self.notices):
            at = float(stamp * self.video.unit)
            height, width = self.video.stored_size
            found = f"{self.video.name} {words} (to {kind[0]} x {kind[1]} at {at:.2f} s)"
            self.notices.append(f"{found}: fitted to the first size, {width} x {height}.")

    def _report(self) -> None:
        """Say what was wrong with the frames that were read."""
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
        """Say when the file's end was reached too early; `last` is the time stamp behind the last frame."""
        if last is None or not self.video.measured or not self.video.duration:
            return
        reached = float(last * self.video.unit) - self.video.begin
        if self.video.duration - reached > max(_MISSING, 3 * float(self._nominal * self.video.unit)):
            found = f"{self.video.name} should last {self.video.duration:.1f} s and ends at {reached:.1f} s"
            self.notices.append(f"{found}: it is cut off, or damaged at the end. What is there was read.")
