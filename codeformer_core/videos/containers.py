"""What each kind of video file can carry, by the end of its name."""

from typing import NamedTuple

import av.container
import av.stream

# What players expect in MP4, which is less than FFmpeg would write there.
_MP4_SOUND = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
_MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "png"})  # the last two are covers
_PCM = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_u8", "adpcm_ima_qt"})


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

    def carries(self, output: av.container.OutputContainer, codec: str) -> bool:
        """Whether packets of a codec (FFmpeg's canonical name) are copied."""
        return codec in (output.supported_codecs if self.carried is None else self.carried)


#: faststart: players can begin before the whole file is there. use_metadata_tags: every tag is kept, ComfyUI's workflow too.
_MOV = {"movflags": "faststart+use_metadata_tags"}

#: By the end of the file's name.
CONTAINERS: dict[str, Container] = {
    ".mp4": Container("mp4", "MP4", ("h264", "hevc", "av1"), _MP4_SOUND | _MP4_VIDEO | {"mov_text"}, "aac", _MOV, False),
    ".mov": Container(
        "mov", "QuickTime", ("h264", "hevc"), _MP4_SOUND | _MP4_VIDEO | _PCM | {"mov_text", "prores"}, "aac", _MOV, False
    ),
    ".mkv": Container("matroska", "Matroska", ("h264", "hevc", "av1"), None, "libopus", {}, True),
    ".webm": Container(
        "webm", "WebM", ("av1",), frozenset({"opus", "vorbis", "vp8", "vp9", "av1", "webvtt"}), "libopus", {}, True
    ),
}
