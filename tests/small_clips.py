"""Small videos for tests: a few frames of moving stripes, and a tone, on any clock; and the frames of any video."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (64, 96)  # H, W

SOUND = 48_000  # samples a second


def stripes(number: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H, W, 3) uint8: each number is another image."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    wave = 128 + 90 * np.sin((columns + rows // 2 + 5 * number) / 9)
    return np.stack([wave, wave * 0.9, wave * 0.8], 2).astype(np.uint8)


def write_clip(
    path: Path,
    video: str = "mpeg4",
    audio: str | None = "aac",
    *,
    frames: int = 12,
    rate: Fraction | int = 25,
    times: list[Fraction] | None = None,
    numbers: Sequence[float] | None = None,
    clock: float = 0.0,
    late: float = 0.0,
    container: str | None = None,
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    alpha: bool = False,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
) -> Path:
    """A clip with its sound.

    Args:
        times: seconds of each frame, in place of `frames` and `rate`.
        numbers: of the image of each frame, see `stripes`, in place of 0, 1, ...
        clock: seconds that the file's clock shows where sound and frames begin.
        late: seconds that the first frame comes after the first sound.
        alpha: its left half is opaque, its right half transparent.
        options, muxing: of the encoder and of the muxer.
    """
    unit = Fraction(1, 90_000)
    frames = frames if numbers is None else len(numbers)
    times = [Fraction(number) / rate for number in range(frames)] if times is None else times
    packets = []
    with av.open(str(path), "w", format=container, options=muxing or {}) as output:
        stream = output.add_stream(video, rate=rate, options=options or {})
        assert isinstance(stream, av.VideoStream)
        (stream.height, stream.width), stream.pix_fmt = size, pixel_format
        if video not in ("mpeg4", "mpeg2video", "mpeg1video"):  # these count frames
            stream.codec_context.time_base = unit
        if audio:
            sound = output.add_stream(audio, rate=SOUND, layout="mono")
            assert isinstance(sound, av.AudioStream)
        for number, time in enumerate(times):
            pixels = stripes(numbers[number] if numbers else number, size)
            if alpha:
                opaque = np.repeat(np.where(np.arange(size[1]) < size[1] // 2, 255, 0)[None], size[0], 0).astype(np.uint8)
                pixels = np.concatenate([pixels, opaque[..., None]], 2)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if alpha else "rgb24").reformat(format=pixel_format)
            frame.time_base = stream.codec_context.time_base or 1 / Fraction(rate)
            frame.pts = round(time / frame.time_base)
            packets += [(packet, late) for packet in stream.encode(frame)]
        packets += [(packet, late) for packet in stream.encode(None)]
        if audio:
            length = round(float(times[-1] + Fraction(1) / rate + Fraction(late)) * SOUND)
            tone = (0.4 * np.sin(np.arange(length) / 20))[None].astype(np.float32)
            if not sound.format.name.startswith("flt"):
                tone = (tone * 32767).astype(np.int16)
            piece = av.AudioFrame.from_ndarray(tone, format="flt" if tone.dtype == np.float32 else "s16", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = SOUND, 0, Fraction(1, SOUND)
            packets += [(packet, 0.0) for packet in [*sound.encode(piece), *sound.encode(None)]]
        for packet, delay in packets:
            shift = round((clock + delay) / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
        for packet, _ in sorted(packets, key=lambda one: one[0].dts * one[0].time_base):
            output.mux(packet)
    return path


def read_clip(path: Path) -> np.ndarray:
    """(B, H, W, 3) uint8: the frames of a video, as FFmpeg decodes them."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
