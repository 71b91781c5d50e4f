"""What each kind of video file can carry, by the end of its name."""

from fractions import Fraction
from typing import NamedTuple

import av.container
import av.stream

# What players expect in MP4, which is less than FFmpeg would write there.
_MOV_SOUND = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
_MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "png"})  # the last two are covers
_PCM = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_u8", "adpcm_ima_qt"})
_MP4 = _MOV_SOUND | _MP4_VIDEO | {"opus", "flac", "mov_text"}

# Steps a second, at least, of the beginnings and lengths of streams in MP4: less than a sample of sound is lost. FFmpeg's own
# 1000 cuts the end of the last frame off.
_FINE = 90_000


class Container(NamedTuple):
    """A kind of file.

    Attributes:
        format: FFmpeg's name.
        name: for the user.
        codecs: of `CODECS` that it can hold, the first by default.
        carried: codecs of other streams that are copied into it; None are all that FFmpeg can write.
        sound: encoder for sound that cannot be copied.
        options: of FFmpeg's muxer.
        begins_at_zero: it has no times before 0, and cannot say that a stream's first samples are to be left out.
    """

    format: str
    name: str
    codecs: tuple[str, ...]
    carried: frozenset[str] | None
    sound: str
    options: dict[str, str]
    begins_at_zero: bool

    def options_for(self, unit: Fraction) -> dict[str, str]:
        """Of the muxer, for a video with time stamps of `unit` seconds."""
        if "movflags" not in self.options:
            return self.options
        fine = unit.denominator * -(-_FINE // unit.denominator)
        return {**self.options, "movie_timescale": str(fine)}

    def carries(self, output: av.container.OutputContainer, codec: str) -> bool:
        """Whether packets of a codec (FFmpeg's canonical name) are copied."""
        return codec in (output.supported_codecs if self.carried is None else self.carried)


#: faststart: players can begin before the whole file is there. use_metadata_tags: every tag is kept, ComfyUI's workflow too.
_MOV = {"movflags": "faststart+use_metadata_tags"}

#: By the end of the file's name.
CONTAINERS: dict[str, Container] = {
    ".mp4": Container("mp4", "MP4", ("h264", "hevc", "av1"), _MP4, "aac", _MOV, False),
    ".mov": Container(
        "mov", "QuickTime", ("h264", "hevc"), _MOV_SOUND | _MP4_VIDEO | _PCM | {"mov_text", "prores"}, "aac", _MOV, False
    ),
    ".mkv": Container(
        "matroska", "Matroska", ("h264", "hevc", "av1"), None, "libopus", {"avoid_negative_ts": "disabled"}, True
    ),
    ".webm": Container(
        "webm", "WebM", ("av1",), frozenset({"opus", "vorbis", "vp8", "vp9", "av1", "webvtt"}), "libopus", {}, True
    ),
}
