"""Decode a time range of a video: error concealment, strictly increasing PTS, exact seeking to a keyframe."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain

import av
from av.container import InputContainer
from av.error import FFmpegError

from .probe import Video
from .source import Source, alpha_decoder, decode_frames, first_stream, open_video, own_pts
from .time_range import TimeRange

# Codecs whose packets each hold one displayed frame, so that counting packets counts frames.
_COUNTABLE = {"h264", "hevc", "vp9", "av1", "libdav1d", "mpeg4", "mjpeg", "prores", "ffv1"}

_REORDERED = 32  # packets; B-frames reorder by at most 16 (H.264 and HEVC, largest decoded picture buffer)

_MISSING = 0.2  # seconds; containers differ by less in how they count the duration of the last frame

_NAMED = 5  # damaged positions that a notice lists


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
    _damaged: list[int] = field(default_factory=list)
    _restamped: int = 0

    def frames(self, begin: int | None = None) -> Iterator[tuple[int, av.VideoFrame]]:
        """PTS and frames from the range's start, or from the PTS `begin` in it, to its end."""
        begin = self.window.start if begin is None else begin
        last = None
        try:
            for pts, frame in self._with_durations(self._with_repaired_pts(self._from_keyframe(begin))):
                if begin is not None and pts < begin:
                    continue
                if self.window.end is not None and pts >= self.window.end:
                    return
                last = pts + (frame.duration or self._frame_duration)
                yield pts, frame
            if last is not None and self.video.measured:
                self._report_end(self._seconds(last) - self.video.late)
        finally:
            self._report_damage()

    @property
    def regular(self) -> bool:
        """Whether no frame so far was damaged, resized or got another PTS."""
        return not (self._damaged or self._restamped or self.notices)

    def pts_of(self, number: int) -> int | None:
        """The PTS of a frame, counted from the range's start, by demuxing without decoding; None where that is not certain."""
        start, found = self.window.start, []
        with open_video(self.source) as container:
            stream = first_stream(container)
            if not self.video.container.startswith(("mov", "matroska")) or stream.codec_context.name not in _COUNTABLE:
                return None
            try:
                if start is not None:
                    self._seek(container, start)
                for packet in container.demux(stream):
                    if packet.size == 0 or packet.is_discard:
                        continue
                    if packet.pts is None or packet.is_corrupt:
                        return None
                    if start is None or packet.pts >= start:
                        found.append(packet.pts)
                    if len(found) > number + _REORDERED:
                        break
            except FFmpegError:
                return None
        return sorted(found)[number] if number < len(found) else None

    def _from_keyframe(self, begin: int | None) -> Iterator[av.VideoFrame]:
        """Frames decoded from a keyframe on after which the frame at `begin` and all later ones are complete.

        Some containers seek by DTS, and with open GOPs the frames after a keyframe may refer to ones before it: the position
        is good when a keyframe at or before `begin` is the first frame in display order.
        """
        for margin in (0, 2, 10, None):  # seconds to go back further; None is the file's beginning
            damaged: list[int] = []
            with open_video(self.source) as container:  # anew, since a flushed decoder may lose frames
                stream = first_stream(container)
                stream.thread_type = "AUTO"
                frames: Iterator[av.VideoFrame] = decode_frames(container, damaged)
                try:
                    if begin is not None and margin is not None:
                        self._seek(container, begin - round(margin / self.video.time_base))
                        first = next(frames, None)
                        if first is None or first.pts is None or first.pts > begin:
                            continue
                        if not first.key_frame and alpha_decoder(stream) is None:  # libvpx does not say, and begins with one
                            continue
                        frames = chain((first,), frames)
                except FFmpegError:
                    continue
                self._damaged = damaged
                try:
                    yield from frames
                except FFmpegError as error:
                    self.notices.append(f"{self.video.name} cannot be read to its end ({error}): what follows is left out.")
                return

    @staticmethod
    def _seek(container: InputContainer, pts: int) -> None:
        """Seek to the keyframe before a PTS."""
        stream = first_stream(container)
        container.seek(max(pts, stream.start_time or 0), stream=stream)

    @property
    def _frame_duration(self) -> int:
        """The duration of a frame at the average rate, in the time base."""
        return max(1, round(1 / (self.video.rate * self.video.time_base))) if self.video.rate else 1

    def _with_repaired_pts(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames with strictly increasing PTS, all with the size and pixel format of the first."""
        duration, last, shift, expected, resized = self._frame_duration, None, 0, None, False
        for frame in frames:
            pts = own_pts(frame)
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
            expected = expected or found
            if found != expected:
                if not resized:
                    self.notices.append(
                        f"{self.video.name} changes its frame size (to {found[0]} x {found[1]} at {self._seconds(pts):.2f} s): "
                        f"resized to the first size, {expected[0]} x {expected[1]}."
                    )
                resized = True
                frame = frame.reformat(*expected)
            yield pts, frame

    def _with_durations(self, frames: Iterator[tuple[int, av.VideoFrame]]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames that last until the next one: MP4 stores durations in decoding order, which differ where the rate varies."""
        last = None
        for pts, frame in frames:
            if last is not None:
                last[1].duration = pts - last[0]
                yield last
            last = pts, frame
        if last is not None:
            if self.video.measured:
                left = round((self.video.begin + Fraction(self.video.duration)) / self.video.time_base) - last[0]
                last[1].duration = left if 0 < left < (last[1].duration or 0) else last[1].duration
            yield last

    def _seconds(self, pts: int) -> float:
        """Of a PTS, from the film's beginning on."""
        return float(pts * self.video.time_base - self.video.zero)

    def _report_damage(self) -> None:
        """Add the notices on damaged frames and repaired PTS."""
        name, places = self.video.name, sorted(set(self._damaged))
        if places:
            listed = ", ".join(f"{self._seconds(pts):.2f}" for pts in places[:_NAMED])
            self.notices.append(
                f"{name} is damaged at {listed} s{' and elsewhere' if len(places) > _NAMED else ''}: what could not be decoded "
                "was concealed from neighbouring frames, or dropped, so that the frame before is shown longer."
            )
        if self._restamped:
            self.notices.append(
                f"{name}: {self._restamped} frames had no timestamp, or one that is not after that of the frame before: "
                "they got new ones."
            )

    def _report_end(self, reached: float) -> None:
        """Add a notice when the last frame ends too early, `reached` seconds after the first begins."""
        if self.video.duration - reached > max(_MISSING, 3 * self._frame_duration * self.video.time_base):
            self.notices.append(
                f"{self.video.name} should last {self.video.duration:.1f} s and ends at {reached:.1f} s: it is cut off, or "
                "damaged at the end. What is there was read."
            )
