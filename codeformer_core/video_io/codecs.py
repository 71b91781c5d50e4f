"""Codecs, their encoders in this build of PyAV with the pixel formats they take, and containers."""

from fractions import Fraction
from typing import NamedTuple

import av
from av.codec import find_best_pix_fmt_of_list
from av.container import OutputContainer

from .planes import is_planar, subsampling


class Encoder(NamedTuple):
    """An encoder of FFmpeg.

    Attributes:
        name: FFmpeg's.
        crf: the default quality; lower is better.
        max_crf: the worst quality.
        options: of the encoder, beside the quality.
        min_side: the smallest side in pixels; x265 ends the whole process below 24.
        odd_sizes: 4:2:0 frames may have an odd number of rows and columns.
        interlaced: it has an interlaced mode.
    """

    name: str
    crf: int
    max_crf: int
    options: dict[str, str]
    min_side: int = 2
    odd_sizes: bool = False
    interlaced: bool = False


#: Codec, by the name that users choose -> its encoders in order of preference. The qualities keep luma at a PSNR of 50 dB,
#: visually lossless: 45 frames of a face at 1280 x 720 (0.9 Mbit/s) came out as h264 16: 52.4 dB, 1.9 Mbit/s; hevc 18: 50.9 dB,
#: 0.9; av1 22: 50.2 dB, 0.5. The faster next preset of each costs a tenth of the size, or saves no time.
CODECS: dict[str, tuple[Encoder, ...]] = {
    "h264": (Encoder("libx264", 16, 51, {"preset": "medium"}, interlaced=True),),
    "hevc": (Encoder("libx265", 18, 51, {"preset": "medium", "x265-params": "log-level=error"}, min_side=32),),
    "av1": (
        Encoder("libsvtav1", 22, 63, {"preset": "6"}, odd_sizes=True),
        Encoder("libaom-av1", 20, 63, {"cpu-used": "6", "row-mt": "1"}, odd_sizes=True),
    ),
}


def find_encoder(codec: str) -> Encoder | None:
    """The first encoder of a row of `CODECS` that this build of PyAV has."""
    return next((encoder for encoder in CODECS[codec] if encoder.name in av.codecs_available), None)


def pixel_format(encoder: Encoder, source: str, height: int, width: int) -> str:
    """The pixel format of an encoder that preserves the most of a planar frame of the format `source`.

    Full range is a property here, not a format (yuvj). Grey becomes 4:2:0 with neutral chroma: luma is the same, and not all
    players support grey H.264. A frame with an odd number of rows or columns becomes 4:4:4 where the encoder subsamples only
    even ones: it keeps its size and its luma.

    Raises:
        ValueError: there is none for frames of this size.
    """
    fitting = []
    for offered in av.Codec(encoder.name, "w").video_formats or ():
        down, across = subsampling(offered)
        planar = is_planar(offered) and len(offered.components) == 3 and not offered.name.startswith("yuvj")
        if planar and (encoder.odd_sizes or (height % down == 0 and width % across == 0)):
            fitting.append(offered)
    best, _ = find_best_pix_fmt_of_list(fitting, source.replace("gray", "yuv420p"))
    if best is None or min(height, width) < encoder.min_side:
        raise ValueError(f"{encoder.name} cannot encode frames of {width} x {height}. Use another codec.")
    return best.name


# What players support in MP4 and in QuickTime, which is less than FFmpeg can mux; mjpeg and png are cover art.
_BOTH = {"aac", "mp3", "ac3", "eac3", "alac", "h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "png", "mov_text"}

_MP4 = _BOTH | {"opus", "flac"}

_PCM = {"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_u8", "adpcm_ima_qt"}

_QUICKTIME = _BOTH | _PCM | {"prores"}

_WEBM = {"opus", "vorbis", "vp8", "vp9", "av1", "webvtt"}

# The least movie timescale of MP4, whose edit lists count in it: less than an audio sample is lost. FFmpeg's default of 1000
# cuts off the end of the last frame.
_LEAST_TIMESCALE = 90_000


class Container(NamedTuple):
    """A container format.

    Attributes:
        format: FFmpeg's name of the muxer.
        name: for messages.
        codecs: the rows of `CODECS` that it supports; the first is the default.
        stream_codecs: codecs of other streams that are copied into it; None is all that the muxer supports.
        audio_encoder: encoder for audio that cannot be copied.
        options: of the muxer.
        begins_at_zero: it has no negative PTS and no edit list, so that preroll cannot be hidden.
    """

    format: str
    name: str
    codecs: tuple[str, ...]
    stream_codecs: set[str] | None
    audio_encoder: str
    options: dict[str, str]
    begins_at_zero: bool = False

    def options_for(self, unit: Fraction) -> dict[str, str]:
        """The options of the muxer for a video with the time base `unit`."""
        if self.begins_at_zero:
            return self.options
        timescale = unit.denominator * -(-_LEAST_TIMESCALE // unit.denominator)
        return {**self.options, "movie_timescale": str(timescale)}

    def supports(self, output: OutputContainer, codec: av.Codec) -> bool:
        """Whether streams of a codec are copied."""
        supported = output.supported_codecs if self.stream_codecs is None else self.stream_codecs
        return not {codec.name, codec.canonical_name}.isdisjoint(supported)


#: faststart: players can start before the whole file is loaded. use_metadata_tags: every tag is kept, ComfyUI's workflow too.
_MOV = {"movflags": "faststart+use_metadata_tags"}

#: By file suffix.
CONTAINERS: dict[str, Container] = {
    ".mp4": Container("mp4", "MP4", ("h264", "hevc", "av1"), _MP4, "aac", _MOV),
    ".mov": Container("mov", "QuickTime", ("h264", "hevc"), _QUICKTIME, "aac", _MOV),
    ".mkv": Container(
        "matroska", "Matroska", ("h264", "hevc", "av1"), None, "libopus", {"avoid_negative_ts": "disabled"}, True
    ),
    ".webm": Container("webm", "WebM", ("av1",), _WEBM, "libopus", {}, True),
}
