"""Which encoders this build of PyAV has for each codec, and what they and the containers can hold."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import av
import av.error


class Encoder(NamedTuple):
    """One of FFmpeg's encoders.

    Attributes:
        name: FFmpeg's.
        crf: quality by default, lower is better.
        options: that it is opened with beside the quality.
    """

    name: str
    crf: int
    options: dict[str, str]


@dataclass(frozen=True)
class Codec:
    """A way to compress video.

    Attributes:
        name: for the user.
        encoders: in the order in which they are tried.
    """

    name: str
    encoders: tuple[Encoder, ...]


#: By the name that users choose.
CODECS: dict[str, Codec] = {
    "h264": Codec("H.264", (Encoder("libx264", 16, {"preset": "medium"}),)),
    "hevc": Codec("HEVC", (Encoder("libx265", 18, {"preset": "medium", "x265-params": "log-level=error"}),)),
    "av1": Codec(
        "AV1",
        (
            Encoder("libsvtav1", 22, {"preset": "6"}),
            Encoder("libaom-av1", 20, {"cpu-used": "6", "row-mt": "1"}),
        ),
    ),
}


@cache
def encoder_of(codec: str) -> Encoder:
    """The first encoder of a codec that this build of PyAV has.

    Raises:
        ValueError: the codec is not known, or there is none.
    """
    if codec not in CODECS:
        raise ValueError(f"The codec {codec} is not known. Use one of {', '.join(CODECS)}.")
    for encoder in CODECS[codec].encoders:
        if available(encoder.name):
            return encoder
    raise ValueError(
        f"This PyAV was built without an encoder for {CODECS[codec].name}. Use another codec, or the wheel from PyPI."
    )


def available(name: str) -> bool:
    """Whether this build of PyAV has an encoder."""
    try:
        return av.Codec(name, "w") is not None
    except av.error.FFmpegError:
        return False


def pixel_format(encoder: str, source: str) -> str:
    """The pixel format of an encoder that keeps the most of a planar frame of the format `source`."""
    offered = [pixels.name for pixels in av.Codec(encoder, "w").video_formats or ()]
    wanted = source.replace("yuvj", "yuv").replace("yuva", "yuv").replace("gbrap", "gbrp")
    if wanted in offered:
        return wanted
    return max(offered, key=lambda name: _likeness(name, wanted))


def _likeness(offered: str, wanted: str) -> tuple[bool, ...]:
    """How much of `wanted` a format keeps, the most important first."""
    new, old = av.VideoFormat(offered, 16, 16), av.VideoFormat(wanted, 16, 16)
    planar = new.is_planar and not offered.startswith(("yuvj", "yuva", "nv", "p0", "p2"))
    chroma = [_chroma(pixels) for pixels in (new, old)]
    bits = [pixels.components[0].bits for pixels in (new, old)]
    return (
        planar,
        len(new.components) >= min(3, len(old.components)),
        bits[0] >= bits[1],
        chroma[0] >= chroma[1],
        not new.is_rgb,
        bits[0] == bits[1],
        chroma[0] == chroma[1],
    )


def _chroma(pixels: av.VideoFormat) -> int:
    """Chroma samples of 16 x 16 pixels."""
    return pixels.chroma_width(16) * pixels.chroma_height(16)
