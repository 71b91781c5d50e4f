"""Codecs, their encoders in this build of PyAV with the pixel formats they take, and containers."""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import av
from av.codec import find_best_pix_fmt_of_list
from av.container import OutputContainer
from av.error import FFmpegError

from ..runtime.scheduling import without_realtime
from .planes import has_alpha, is_planar, subsampling

#: How long an encoder looks for ways to make a file smaller.
PRESETS = ("fast", "medium", "slow")


def _crf(quality: int) -> dict[str, str]:
    return {"crf": str(quality)}


class Encoder(NamedTuple):
    """An encoder of FFmpeg.

    Attributes:
        name: FFmpeg's.
        crf: the default quality; lower is better.
        max_crf: the worst quality.
        presets: the name of the option that `PRESETS` are said by, and its value for each of them.
        options: of the encoder, beside preset and quality.
        quality: the options that say a quality.
        min_side: the smallest side in pixels; x265 ends the whole process below 24.
        odd_sizes: 4:2:0 frames may have an odd number of rows and columns.
        interlaced: it has an interlaced mode.
        max_rate: the most frames per second.
        alpha: the pixel format in which it keeps transparency, in Matroska and WebM; empty where it does not.
        hardware: it works on a graphics card, and takes frames of 8 bits in 4:2:0.
        surface: the pixel format that it takes them in, where that is not planar: the same samples in another order.
    """

    name: str
    crf: int
    max_crf: int
    presets: tuple[str, str, str, str]
    options: dict[str, str] = {}
    quality: Callable[[int], dict[str, str]] = _crf
    min_side: int = 2
    odd_sizes: bool = False
    interlaced: bool = False
    max_rate: float = float("inf")
    alpha: str = ""
    hardware: bool = False
    surface: str = ""

    def settings(self, quality: int, preset: str) -> dict[str, str]:
        """The options for a quality and one of `PRESETS`."""
        option, *values = self.presets
        return {**self.quality(min(quality, self.max_crf)), option: values[PRESETS.index(preset)], **self.options}

    def accepts(self, pixel_format: str) -> str:
        """The pixel format that it takes frames of one from `pixel_format` in."""
        return self.surface or pixel_format

    @property
    def codec(self) -> str:
        """The name that users choose it by."""
        return av.Codec(self.name, "w").canonical_name


_X26 = ("preset", "veryfast", "medium", "slow")

#: Codec, by the name that users choose -> its encoders in order of preference. The qualities keep luma at a PSNR of 50 dB,
#: visually lossless: 45 frames of a face at 1280 x 720 (0.9 Mbit/s) came out as h264 16: 52.4 dB, 1.9 Mbit/s; hevc 18: 50.9 dB,
#: 0.9; av1 22: 50.2 dB, 0.5; vp9 20: 50.2 dB, 0.7. The faster next preset of each costs a tenth of the size, or saves no time.
CODECS: dict[str, tuple[Encoder, ...]] = {
    "h264": (Encoder("libx264", 16, 51, _X26, interlaced=True),),
    "hevc": (Encoder("libx265", 18, 51, _X26, {"x265-params": "log-level=error"}, min_side=32),),
    "av1": (
        Encoder("libsvtav1", 22, 63, ("preset", "9", "6", "4"), odd_sizes=True, max_rate=240),
        Encoder("libaom-av1", 20, 63, ("cpu-used", "8", "6", "4"), {"row-mt": "1"}, odd_sizes=True),
    ),
    "vp9": (
        Encoder(
            "libvpx-vp9",
            20,
            63,
            ("cpu-used", "5", "4", "2"),
            {"b": "0", "deadline": "good", "row-mt": "1"},
            odd_sizes=True,
            alpha="yuva420p",
        ),
    ),
}


def find_encoder(codec: str, rate: Fraction = Fraction(0)) -> Encoder | None:
    """The first encoder of a row of `CODECS` that this build of PyAV has, for `rate` frames per second."""
    return next((one for one in CODECS[codec] if one.name in av.codecs_available and rate <= one.max_rate), None)


def pixel_format(encoder: Encoder, source: str, height: int, width: int) -> str:
    """The pixel format of an encoder that preserves the most of a planar frame of the format `source`.

    Full range is a property here, not a format (yuvj). Grey becomes 4:2:0 with neutral chroma: luma is the same, and not all
    players support grey H.264. A frame with an odd number of rows or columns becomes 4:4:4 where the encoder subsamples only
    even ones: it keeps its size and its luma.

    Raises:
        ValueError: there is none for frames of this size.
    """
    if encoder.alpha and has_alpha(av.VideoFormat(source, 16, 16)):
        return encoder.alpha
    if encoder.hardware and source in ("yuv420p", "yuvj420p") and height % 2 == width % 2 == 0:
        return "yuv420p"
    fitting = []
    for offered in () if encoder.hardware else av.Codec(encoder.name, "w").video_formats or ():
        down, across = subsampling(offered)
        planar = is_planar(offered) and len(offered.components) == 3 and not offered.name.startswith("yuvj")
        if planar and (encoder.odd_sizes or (height % down == 0 and width % across == 0)):
            fitting.append(offered)
    best, _ = find_best_pix_fmt_of_list(fitting, source.replace("gray", "yuv420p"))
    if best is None or min(height, width) < encoder.min_side:
        raise ValueError(f"{encoder.name} cannot encode frames of {width} x {height}.")
    return best.name


def opens(encoder: Encoder, source: str, height: int, width: int, rate: Fraction) -> bool:
    """Whether an encoder begins to work for frames of this size, rate and source format, which is tried out."""
    try:
        context = av.CodecContext.create(encoder.name, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.height, context.width = height, width
        context.pix_fmt = encoder.accepts(pixel_format(encoder, source, height, width))
        context.framerate, context.time_base = rate or Fraction(30), 1 / (rate or Fraction(30))
        context.options = encoder.settings(encoder.crf, "medium")
        with without_realtime():
            context.open()
        if encoder.hardware:  # some drivers fail at the first frame only
            context.encode(av.VideoFrame(width, height, context.pix_fmt))
            context.encode(None)
    except (FFmpegError, ValueError):
        return False
    return True


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
        max_rate: the most frames per second that its time base tells apart.
    """

    format: str
    name: str
    codecs: tuple[str, ...]
    stream_codecs: set[str] | None
    audio_encoder: str
    options: dict[str, str]
    begins_at_zero: bool = False
    max_rate: float = float("inf")

    def encoder_for(self, codec: str | None, rate: Fraction, alpha: bool) -> Encoder:
        """The encoder of a codec for `rate` frames per second, of which 0 is not known.

        None is the container's first codec that can; of a video with transparency, the first that keeps it.

        Raises:
            ValueError: the container or the codec does not support that; the message names what does.
        """
        if rate > self.max_rate:
            raise ValueError(
                f"The video has {float(rate):g} frames a second, {self.name} tells apart at most {self.max_rate:g}. "
                "Write a .mp4 or .mov, or a lower frame rate."
            )
        able = {codec: encoder for codec in self.codecs if (encoder := find_encoder(codec, rate))}
        if codec is None:
            codec = next((name for name in able if alpha and able[name].alpha), next(iter(able), self.codecs[0]))
        if codec not in self.codecs:
            raise ValueError(f"{self.name} holds {' or '.join(self.codecs)}, got {codec}. Use one of these.")
        if codec in able:
            return able[codec]
        others = f"Use {' or '.join(able)}" if able else "Install the wheel of PyAV from PyPI"
        if (slow := find_encoder(codec)) is not None:
            raise ValueError(
                f"The video has {float(rate):g} frames a second, {codec} encodes at most {slow.max_rate:g}. {others}, or write "
                "a lower frame rate."
            )
        raise ValueError(f"This PyAV was built without an encoder for {codec}. {others}.")

    def advice(self, source: str, height: int, width: int, rate: Fraction) -> str:
        """What to do where an encoder fails on frames of this size, rate and source format: its codecs that do not fail."""
        encoders = {codec: find_encoder(codec, rate) for codec in self.codecs}
        able = [codec for codec, encoder in encoders.items() if encoder and opens(encoder, source, height, width, rate)]
        return f"Use {' or '.join(able)}." if able else "Resize the video first: no codec of this format encodes such frames."

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
        "matroska",
        "Matroska",
        ("h264", "hevc", "av1", "vp9"),
        None,
        "libopus",
        {"avoid_negative_ts": "disabled"},
        begins_at_zero=True,
        max_rate=1000,
    ),
    ".webm": Container("webm", "WebM", ("av1", "vp9"), _WEBM, "libopus", {}, begins_at_zero=True, max_rate=1000),
}
