"""Encoders on graphics cards."""

from fractions import Fraction

import av

from .codecs import Encoder, opens


def _constant_quality(quality: int) -> dict[str, str]:
    """VideoToolbox counts quality from 1 to 100, in units of FF_QP2LAMBDA (118)."""
    return {"flags": "+qscale", "global_quality": str(118 * max(1, 100 - 2 * quality))}


#: Encoders on graphics cards: NVIDIA's NVENC, Intel's Quick Sync, AMD's AMF, Apple's VideoToolbox. Options as in FFmpeg's
#: documentation; none of them was at hand.
HARDWARE: tuple[Encoder, ...] = (
    *(
        Encoder(
            f"{codec}_nvenc",
            16,
            51,
            ("preset", "p2", "p4", "p7"),
            {"rc": "vbr", "b": "0"},
            lambda quality: {"cq": str(quality)},
            hardware=True,
        )
        for codec in ("h264", "hevc", "av1")
    ),
    *(
        Encoder(
            f"{codec}_qsv",
            16,
            51,
            ("preset", "veryfast", "medium", "veryslow"),
            quality=lambda quality: {"global_quality": str(max(1, quality))},
            hardware=True,
            surface="nv12",
        )
        for codec in ("h264", "hevc", "av1", "vp9")
    ),
    *(
        Encoder(
            f"{codec}_amf",
            16,
            51,
            ("quality", "speed", "balanced", "quality"),
            {"rc": "cqp"},
            lambda quality: {"qp_i": str(quality), "qp_p": str(quality)},
            hardware=True,
        )
        for codec in ("h264", "hevc")
    ),
    *(
        Encoder(f"{codec}_videotoolbox", 16, 51, ("prio_speed", "1", "0", "0"), {}, _constant_quality, hardware=True)
        for codec in ("h264", "hevc")
    ),
)


def find_hardware(codec: str, source: str, height: int, width: int, rate: Fraction) -> Encoder | None:
    """The first encoder on a graphics card that works for frames of this kind here, which is tried out."""
    built = (one for one in HARDWARE if one.name in av.codecs_available and one.codec == codec)
    return next((one for one in built if opens(one, source, height, width, rate)), None)
