"""Render the clips of tests/data/video from the committed photographs: python tests/data/make_clips.py [FOLDER]

Each stands in for a real clip and has its name, its time stamps, its streams and its number of frames, so that one table of
expectations serves both; the moving image is a window that slides over a NASA photograph, the sound is seeded noise.
"""

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

DATA = Path(__file__).parent

SILENT = "silent"


@dataclass(frozen=True)
class Clip:
    """One file.

    Attributes:
        size: (W, H) as stored.
        steps: ticks of `unit` from frame to frame, repeated; the last frame lasts as long as the first step.
        first: ticks before the first frame.
        black: from which frame to which the image is black.
        cuts: the frames with which a new shot begins.
        sound: (codec, samples a second, "silent", "noise" or "mono", samples before the first) of each audio stream; AAC begins
            with 1024 samples of its own.
        rotation: degrees counter-clockwise that the display matrix turns it by.
    """

    size: tuple[int, int]
    frames: int
    rate: Fraction
    unit: Fraction
    steps: tuple[int, ...]
    cuts: tuple[int, ...] = ()
    sound: tuple[tuple[str, int, str, int], ...] = ()
    rotation: int = 0
    codec: str = "libx264"
    pixels: str = "yuv420p"
    photo: str = "astronaut_1face.png"
    options: tuple[tuple[str, str], ...] = ()
    black: tuple[int, int] = (0, 0)
    grey: bool = False
    first: int = 0


def clip(size: tuple[int, int], frames: int, rate: Any, unit: int, *steps: int, **more: Any) -> Clip:
    return Clip(size, frames, Fraction(rate), Fraction(1, unit), steps, **more)


CREW, PORTRAIT = "nasa_sts114_crew_7faces.jpg", "astronaut_1face.png"
OTHER = {CREW: PORTRAIT, PORTRAIT: CREW}
AAC = (("aac", 44_100, "noise", 0),)
QUIET = (("aac", 44_100, SILENT, 0),)
THIRTY = (30, 15_360, 512)

#: Frames of 1/60 to 1/15 second, as a telephone writes them.
UNEVEN = (
    6000, 3750, 3750, 3000, 2999, 1500, 1500, 1501, 1500, 5999, 3751, 6000, 3750, 3750, 5999, 3750, 3750, 3750, 3750, 6000,
    3000, 6000, 3750, 1500, 3000, 6000, 3751, 1499, 6000, 3751, 6000, 1499, 1500, 6000, 1500, 3750, 1500, 3001, 3000, 3000,
    3000, 1500, 1500, 1500, 1500, 3750, 3750, 3750, 3000, 3750, 6000, 3000, 3000, 6000, 6000, 6000, 3000, 3750, 6000, 3000,
)  # fmt: skip

CLIPS = {
    "chaplin_bw_pd.mp4": clip((320, 180), 241, 25, 12_800, 512, sound=(("libmp3lame", 44_100, "noise", 0),), grey=True),
    "cut_black_640x360.mp4": clip((640, 360), 40, *THIRTY, cuts=(15, 25), black=(15, 25), photo=CREW),
    "fire2_realVFR_rot180.mp4": clip(
        (640, 360), 25, Fraction(750_000, 71_393), 90_000, 7199, 9000, 8099, 8998, 9007,
        sound=(("aac", 48_000, "mono", 0),), rotation=180, photo=CREW,
    ),
    "hamilton_10s_speech_cuts.mp4": clip(
        (320, 180), 275, Fraction(2997, 100), 11_988, 400,
        first=10_214, cuts=(20, 82, 211), sound=(("aac", 44_100, "noise", 1024 + 353),), photo=CREW,
    ),
    "hamilton_2s_speech_2997.mp4": clip((640, 360), 60, Fraction(30_000, 1001), 30_000, 1001, sound=AAC),
    "hevc10_640x360.mp4": clip((640, 360), 15, *THIRTY, codec="libx265", pixels="yuv420p10le"),
    "lp_d19_480sq_silent_aac.mp4": clip((240, 240), 250, *THIRTY, sound=QUIET),
    "lp_d20_480sq_audio.mp4": clip((240, 240), 175, 25, 90_000, 3600, sound=AAC),
    "lp_s32_720p.mp4": clip((640, 360), 180, *THIRTY, sound=QUIET),
    "no_duration_vp9_VFR.webm": clip(
        (320, 180), 74, 15, 1000, 62, 69, 66, 67, 63, 68, codec="libvpx-vp9", sound=(("libopus", 48_000, "noise", 0),),
        options=(("live", "1"),),
    ),
    "nasa_13013_multistream.mp4": clip(
        (320, 180), 325, 25, 12_800, 512, sound=(("aac", 8000, "noise", 0), ("aac", 16_000, "noise", 0)), photo=CREW
    ),
    "ntsc_23976_640x360.mp4": clip((640, 360), 48, Fraction(24_000, 1001), 24_000, 1001, photo=CREW),
    "odd_479x271_vp9.webm": clip((479, 271), 60, 30, 1000, 33, 34, 33, codec="libvpx-vp9"),
    "rot90_640x360.mp4": clip((640, 360), 60, *THIRTY, sound=QUIET, rotation=90),
    "talk_cfr30_640x360.mp4": clip((640, 360), 60, *THIRTY, sound=QUIET),
    "vfr_640x360.mp4": clip((640, 360), 60, Fraction(720, 29), 90_000, *UNEVEN),
}  # fmt: skip


def images(made: Clip) -> Iterator[np.ndarray]:
    """(H, W, 3) RGB: the photograph enlarged to cover the frame, moved by a pixel from frame to frame; shots take turns."""
    width, height = made.size
    views = []
    for photo in (made.photo, OTHER[made.photo]):
        image = np.asarray(Image.open(DATA / "photos" / photo).convert("L" if made.grey else "RGB").convert("RGB"))
        factor = max((height + 12) / image.shape[0], (width + 40) / image.shape[1])
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        views.append(cv2.resize(image, None, fx=factor, fy=factor, interpolation=how))
    for index in range(made.frames):
        view = views[sum(cut <= index for cut in made.cuts) % 2]
        x = abs((index + 20) % 80 - 40)
        frame = np.ascontiguousarray(view[index // 30 % 12 :, x : x + width][:height])
        yield np.zeros_like(frame) if made.black[0] <= index < made.black[1] else frame


def waves(rate: int, seconds: float, kind: str) -> np.ndarray:
    """(channels, samples) in [-1, 1]: noise below a tenth of the rate, louder and quieter a few times a second."""
    count = round(rate * seconds)
    noise = np.random.default_rng(0).normal(size=(2, count)).astype(np.float32)
    smooth = np.stack([np.convolve(row, np.hanning(16) / 8, "same") for row in noise])
    loud = 0.15 * (1 + np.sin(np.arange(count) * 2 * np.pi * 3 / rate))
    return (smooth * loud * (kind != SILENT)).astype(np.float32)[: 1 if kind == "mono" else 2]


def add_sound(output: Any, spec: tuple[str, int, str, int], seconds: float) -> Iterator[Any]:
    """Packets of one audio stream."""
    codec, rate, kind, first = spec
    layout = "mono" if kind == "mono" else "stereo"
    stream = output.add_stream(codec, rate=rate, layout=layout)
    stream.bit_rate = 32_000
    yield stream
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waves(rate, seconds, kind)), format="fltp", layout=layout)
    frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    for packet in (*stream.encode(frame), *stream.encode(None)):
        packet.pts, packet.dts = packet.pts + first, packet.dts + first
        yield packet


def add_video(output: Any, made: Clip) -> Iterator[Any]:
    stream = output.add_stream(made.codec, rate=made.rate)
    (stream.width, stream.height), stream.pix_fmt = made.size, made.pixels
    stream.time_base = stream.codec_context.time_base = made.unit
    stream.codec_context.thread_count = 1  # so that it renders alike everywhere
    stream.codec_context.gop_size = 30
    quality = {"crf": "34", "b": "0", "cpu-used": "5"} if "vpx" in made.codec else {"crf": "30", "preset": "slow"}
    if "265" in made.codec:
        quality["x265-params"] = "log-level=none:pools=none"
    stream.options = quality
    if made.rotation:
        stream.set_display_rotation(made.rotation)
    yield stream
    time, durations = made.first, {}

    def lasting(packets: list[Any]) -> Iterator[Any]:
        for packet in packets:
            packet.duration = durations[packet.pts]
            yield packet

    for index, image in enumerate(images(made)):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=made.pixels)
        frame.pts, frame.time_base = time, made.unit
        durations[time] = made.steps[index % len(made.steps)]
        time += durations[time]
        yield from lasting(stream.encode(frame))
    yield from lasting(stream.encode(None))


def add_words(output: Any) -> Iterator[Any]:
    """A subtitle stream of six texts."""
    stream = output.add_mux_stream("mov_text")
    stream.time_base = Fraction(1, 1000)
    yield stream
    for number in range(6):
        text = f"Text {number}".encode()
        packet = av.Packet(struct.pack(">H", len(text)) + text)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = number * 2000
        packet.duration = 1500
        yield packet


def render(folder: Path, name: str, made: Clip) -> None:
    ticks = made.first + sum(made.steps[index % len(made.steps)] for index in range(made.frames))
    seconds = float(ticks * made.unit)
    with av.open(str(folder / name), "w", options=dict(made.options)) as output:
        if "multistream" in name:
            streams = [part for sound in made.sound for part in (
                add_video(output, made), add_sound(output, sound, seconds), add_words(output)
            )]  # fmt: skip
        else:
            streams = [add_video(output, made), *(add_sound(output, sound, seconds) for sound in made.sound)]
        for stream in streams:
            next(stream)
        packets = [packet for stream in streams for packet in stream]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA / "video"
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in CLIPS.items():
        render(folder, name, made)


if __name__ == "__main__":
    main()
