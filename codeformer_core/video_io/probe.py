"""The properties of a video file: its frames, their rate and colours, and its clock."""

import math
import operator
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from statistics import median
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError

from .planes import Orientation, has_alpha, is_opaque
from .source import Source, decode_frames, first_stream, has_block_alpha, name_of, open_video, own_pts
from .yuv import FULL, ColourSpace

# Side data of a frame that hold HDR metadata of the mastering display.
_HDR = {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DOVI_METADATA", "DYNAMIC_HDR_VIVID"}

# Demuxers whose durations are the end on the file's clock, which need not begin at 0.
_ENDS = ("matroska", "asf", "nut")

_TIMED = 64  # packets whose time stamps are read where a file does not say its frame rate

#: Demuxers of animations whose frames are decoded with transparency although all of them may be opaque.
ANIMATIONS = ("gif", "apng")

#: Seconds of a codec's preroll, which players do not play: Opus asks for 80 ms, AAC for a packet.
PREROLL = 0.1


@dataclass(frozen=True)
class Video:
    """Properties of the first video stream of a file.

    Attributes:
        name: of the file, for messages.
        size: (H, W) as displayed, after rotation.
        rate: average frames per second; 0 when the file does not say.
        frames: how many the file has (estimated from its duration where it does not say); 0 is unknown.
        duration: seconds, 0 is unknown.
        measured: the duration is the video stream's own, not that of the longest stream.
        colours: the colour space of the samples.
        orientation: from storage to display orientation.
        matrix: the display matrix as stored (nine numbers), None when there is none.
        sample_aspect_ratio: 0 is unspecified.
        time_base: seconds of one step of PTS.
        begin: the first PTS in seconds on the file's own clock.
        zero: seconds on that clock where the film begins, which is time 0 of frames and ranges.
        lead: seconds of sound before that.
        container: FFmpeg's name.
        interlaced: its frames are two fields each.
        alpha: it has transparency.
        hdr: it has HDR metadata on the mastering display.
    """

    name: str
    size: tuple[int, int]
    rate: Fraction
    frames: int
    duration: float
    measured: bool
    colours: ColourSpace
    orientation: Orientation
    matrix: tuple[int, ...] | None
    sample_aspect_ratio: Fraction
    time_base: Fraction
    begin: Fraction
    zero: Fraction
    lead: Fraction
    container: str
    interlaced: bool
    alpha: bool
    hdr: bool

    @property
    def late(self) -> float:
        """Seconds of the film before its first frame, with sound alone."""
        return float(self.begin - self.zero)

    @property
    def stored_size(self) -> tuple[int, int]:
        """(H, W) of the frames as stored, before rotation."""
        return self.orientation.size(self.size)


def probe(source: Source) -> Video:
    """The properties of a video file; only its first frame is decoded.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not a video, or its first frame cannot be decoded; the message names it.
    """
    name = name_of(source)
    with open_video(source) as container:
        stream = first_stream(container)
        if stream.codec_context is None:
            raise ValueError(f"{name}: this FFmpeg has no decoder for its video codec. Convert it to H.264 first.")
        frame = None
        with suppress(FFmpegError):
            frame = next(decode_frames(container, []), None)
        if frame is None:
            raise ValueError(f"{name} has no frame that can be decoded, expected at least one. Choose another file.")
        side_data = _side_data(frame, stream.codec_context.name)
        matrix, orientation = _orientation(_display_matrix(frame, side_data))
        time_base = stream.time_base or Fraction(1, 90_000)
        rate = _frame_rate(container, stream, frame)
        begin = (own_pts(frame) or 0) * time_base
        zero, lead = _beginning(container, begin)
        duration = float((stream.duration or 0) * time_base) or _tagged_duration(stream)
        measured = bool(duration) or len(container.streams) == 1
        if not duration and container.duration:
            duration = container.duration / av.time_base
        if container.format.name.startswith(_ENDS) and duration > begin:
            duration -= float(begin)
        colour_range = int(frame.color_range)
        if frame.format.name.startswith("yuvj") or (frame.format.name.startswith("gray") and not colour_range):
            colour_range = FULL  # by definition of these formats
        return Video(
            name=name,
            size=orientation.size((frame.height, frame.width)),
            rate=rate,
            frames=stream.frames or round(duration * rate),
            duration=duration,
            measured=measured,
            colours=ColourSpace(int(frame.colorspace), colour_range, int(frame.color_primaries), int(frame.color_trc)),
            orientation=orientation,
            matrix=matrix,
            sample_aspect_ratio=Fraction(stream.sample_aspect_ratio or 0),
            time_base=Fraction(time_base),
            begin=begin,
            zero=zero,
            lead=lead,
            container=container.format.name,
            interlaced=frame.interlaced_frame,
            alpha=has_block_alpha(stream) or (has_alpha(frame.format) and not _is_opaque(source, container.format.name)),
            hdr=any(side_data.get(kind) is not None for kind in _HDR),
        )


def _is_opaque(source: Source, container: str) -> bool:
    """Whether every pixel of an animation is opaque; its frames are decoded until one is not."""
    if container not in ANIMATIONS:
        return False
    with open_video(source) as again, suppress(FFmpegError):
        return all(is_opaque(frame) for frame in decode_frames(again, []))
    return True  # as far as it can be read


def _frame_rate(container: InputContainer, stream: av.VideoStream, first: av.VideoFrame) -> Fraction:
    """Frames per second, 0 when they cannot be told; reads on in the container.

    The average, else FFmpeg's guess; where both are the clock's rate (60000 of DV, 90000 of MPEG), that of the time stamps.
    """
    unit = stream.time_base or Fraction(0)
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and (rate * unit < 1 or first.duration == 1):
            return Fraction(rate)
    with suppress(FFmpegError):
        stamps = [own_pts(first), *(packet.pts for packet in islice(container.demux(stream), _TIMED))]
        times = sorted({stamp for stamp in stamps if stamp is not None})
        if len(times) > 1:  # those of packets behind the first frame's are missing: they are decoded already
            return Fraction(1 / (median(map(operator.sub, times[1:], times)) * unit)).limit_denominator(1001)
    return Fraction(0)


def _beginning(container: InputContainer, begin: Fraction) -> tuple[Fraction, Fraction]:
    """Where the film begins on the file's clock, and the seconds of sound before that; the first frame is at `begin`.

    A clock that shows 0 for the first frame or sound is right, even where the frames begin late. Those of transport streams,
    camcorders and DVDs show anything: there the film begins with its first frame.
    """
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams.audio
        if stream.start_time is not None and stream.time_base and stream.codec_context is not None
    ]
    earliest = min([begin, *starts])
    if abs(earliest) <= PREROLL:
        return min(begin, Fraction(0)), Fraction(0)
    return begin, begin - earliest if begin - earliest > PREROLL else Fraction(0)


def _tagged_duration(stream: av.VideoStream) -> float:
    """Seconds of Matroska's DURATION tag of the stream (hours:minutes:seconds), else 0."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d*)?)", stream.metadata.get("DURATION", ""))
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else 0.0


def _side_data(frame: av.VideoFrame, codec: str) -> Mapping[str, Any]:
    """The side data of a frame, as far as PyAV can tell them."""
    if codec in ("png", "apng"):  # PyAV 18 would free the name of a colour profile twice, which ends the process
        return {}
    try:
        return frame.side_data
    except ValueError:  # of a kind that it does not know, such as the Exif data of photos
        return {}


def _display_matrix(frame: av.VideoFrame, side_data: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The display matrix of a frame, or one of its rotation alone; None where there is none."""
    stored = side_data.get("DISPLAYMATRIX")
    if stored is not None:
        return struct.unpack("=9i", bytes(stored)[:36])
    if frame.rotation % 360 == 0:
        return None
    cos, sin = (round(65536 * part(math.radians(frame.rotation))) for part in (math.cos, math.sin))
    return cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30


def _orientation(matrix: tuple[int, ...] | None) -> tuple[tuple[int, ...] | None, Orientation]:
    """Display matrix and the `Orientation` that it means.

    The matrix a b u / c d v / x y w says x' = a x + c y, y' = b x + d y (libavutil/display.h), 16.16 fixed point.
    """
    if matrix is None:
        return None, Orientation()
    a, b, _, c, d = matrix[:5]
    if abs(a) + abs(d) >= 100 * (abs(b) + abs(c)):
        return matrix, Orientation(False, flip_rows=d < 0, flip_columns=a < 0)
    if abs(b) + abs(c) >= 100 * (abs(a) + abs(d)):
        return matrix, Orientation(True, flip_rows=b < 0, flip_columns=c < 0)
    return matrix, Orientation()  # not a multiple of 90 degrees: players disagree, so the storage orientation is kept
