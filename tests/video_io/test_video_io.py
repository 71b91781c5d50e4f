"""Reading and writing videos keeps everything but the changed pixels: samples, PTS, colour space, streams, tags."""

import io
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition
from PIL import Image
from small_clips import stripes, write_clip

from codeformer_core.video_io import (
    CODECS,
    CONTAINERS,
    VideoWriter,
    codecs,
    estimate_frames,
    frames_as_times,
    planes,
    probe,
    read_audio,
    read_frames,
)
from codeformer_core.video_io.compose import FrameComposer
from codeformer_core.video_io.time_range import time_range
from codeformer_core.video_io.yuv import upsample_by_opencv

ROOT = Path(__file__).resolve().parents[2]

#: Every clip -> the window (seconds from, seconds) in which it is compared; long ones are cut short.
FILES = {
    "chaplin_bw_pd.mp4": (1.0, 0.4),
    "cut_black_640x360.mp4": (0, 0),
    "fire2_realVFR_rot180.mp4": (1.0, 0.5),
    "hamilton_10s_speech_cuts.mp4": (0, 1.2),
    "hamilton_2s_speech_2997.mp4": (0, 0),
    "hevc10_640x360.mp4": (0, 0),
    "lp_d19_480sq_silent_aac.mp4": (7.9, 0),
    "lp_d20_480sq_audio.mp4": (2.0, 0.5),
    "lp_s32_720p.mp4": (1.5, 0.3),
    "nasa_13013_multistream.mp4": (0, 0),
    "no_duration_vp9_VFR.webm": (4.0, 0),
    "ntsc_23976_640x360.mp4": (0, 0),
    "odd_479x271_vp9.webm": (0, 0),
    "rot90_640x360.mp4": (0, 0),
    "talk_cfr30_640x360.mp4": (0.5, 1.0),
    "vfr_640x360.mp4": (0, 0),
}


def samples(frame) -> list[np.ndarray]:
    """The planes of a decoded frame, as copies."""
    return [plane.astype(np.int32) for plane in planes.arrays(planes.planar(frame))]


def rewrite(source, target: Path, start=0.0, duration=0.0, change=lambda frame: (), **options) -> list[str]:
    """Every frame of a window through reading and writing; `change` gives image and mask. The writer's notices."""
    with VideoWriter(target, source, start=start, duration=duration, **options) as writer:
        for frame in read_frames(source, start, duration):
            writer.write(frame, *change(frame))
    return writer.notices


def square(frame):
    """Every second frame with its middle inverted."""
    if frame.index % 2:
        return ()
    image = frame.image()
    mask = torch.zeros(1, 1, *image.shape[2:])
    height, width = image.shape[2:]
    mask[:, :, height // 3 : height // 2 + 1, width // 3 : width // 2 + 1] = 1
    return torch.where(mask > 0, 1 - image, image), mask


def make_video(path: Path, pixel_format: str, size=(48, 64), frames=3, codec="ffv1", **tags) -> Path:
    """A short lossless video of soft waves within the colours that RGB has. `size` is (H, W)."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = pixel_format
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for number in range(frames):
            frame = av.VideoFrame(size[1], size[0], pixel_format)
            deep = frame.format.components[0].bits
            for index, plane in enumerate(frame.planes):
                rows, columns = np.mgrid[0 : plane.height, 0 : plane.buffer_size // plane.height // (1 + (deep > 8))]
                wave = np.sin(rows / 9 + columns / 13 * (1 + index) + number) * np.cos(columns / 17 - index)
                values = (0.5 + (0.3 if index == 0 else 0.1) * wave) * (2**deep - 1)
                plane.update(values.astype(np.uint16 if deep > 8 else np.uint8).tobytes())
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def make_composer(source: Path, codec="h264", image=None) -> tuple[FrameComposer, list]:
    """What makes the encoder's frames, and the source's first frames."""
    reader = read_frames(source, count=3)
    frames = list(reader)
    return FrameComposer(reader.video, time_range(reader.video), codecs.find_encoder(codec), frames[0], image), frames


def pixel_format(path: Path) -> av.VideoFormat:
    return next(read_frames(path)).raw.format


def packets(path: Path) -> list[list[bytes]]:
    """Of each audio stream."""
    with av.open(str(path)) as container:
        found = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux(list(container.streams.audio)) if found else ():
            if packet.size:
                found[packet.stream.index].append(bytes(packet))
    return list(found.values())


@pytest.mark.parametrize("name", FILES)
def test_everything_but_the_changed_pixels_is_kept(videos, tmp_path, name):
    source, target, part = videos / name, tmp_path / "new.mp4", FILES[name]
    rewrite(source, target, *part, change=square)
    before, after = probe(source), probe(target)
    assert [frame.time for frame in read_frames(target)] == [frame.time for frame in read_frames(source, *part)]
    assert (after.size, after.matrix) == (before.size, before.matrix)
    assert pixel_format(target).components[0].bits == pixel_format(source).components[0].bits
    for what in ("full", "matrix", "primaries", "transfer"):
        assert getattr(after.colours, what) == getattr(before.colours, what), what
    if part == (0, 0):
        assert (after.frames, after.rate, after.duration) == (
            before.frames,
            before.rate,
            pytest.approx(before.duration, abs=1e-6),
        )
    for kept, original in zip(packets(target), packets(source), strict=True):
        first = original.index(kept[0])
        assert kept == original[first : first + len(kept)] and (part != (0, 0) or kept == original)


@pytest.mark.parametrize("name", FILES)
def test_samples_outside_the_mask_reach_the_encoder_unchanged(videos, name):
    source = videos / name
    made, frames = make_composer(source, codec="av1" if name.startswith("odd") else "h264")
    for frame in frames:
        before = samples(frame.raw)
        assert all(np.array_equal(a, b) for a, b in zip(before, samples(made.compose(frame)), strict=True))
        image, mask = square(frame) or square(frames[0])
        new = samples(made.compose(frame, image, mask))
        stored = made.video.orientation.stored(mask)[0, 0].numpy() > 0
        assert (new[0] != before[0])[stored].mean() > 0.5
        assert np.array_equal(new[0][~stored], before[0][~stored])
        chroma = np.maximum(
            stored[::2, ::2],
            np.maximum.reduceat(np.maximum.reduceat(stored, range(0, stored.shape[0], 2), 0), range(0, stored.shape[1], 2), 1),
        )
        for plane in (1, 2):
            assert np.array_equal(new[plane][~chroma], before[plane][~chroma])
        assert all(np.array_equal(a, b) for a, b in zip(before, samples(frame.raw), strict=True))  # the source's frame itself


@pytest.mark.parametrize("name", FILES)
def test_windows_give_the_same_frames_as_decoding_everything(videos, name):
    reader = read_frames(videos / name, 0, 4.2)
    every = [(frame.time, frame.raw.pts, samples(frame.raw)[0][::7, ::7].sum()) for frame in reader]
    unit, number = reader.video.time_base, len(every) * 2 // 3
    sought = list(read_frames(videos / name, float(every[number][0]), float(6 * unit + every[-1][0] - every[number][0])))
    origin = sought[0].raw.pts * unit - sought[0].time
    assert [(f.time + origin, f.raw.pts, samples(f.raw)[0][::7, ::7].sum()) for f in sought] == every[number:]
    by_time = read_frames(videos / name, *frames_as_times(videos / name, 0, 0, number, 4))
    assert [frame.raw.pts for frame in by_time] == [pts for _, pts, _ in every[number : number + 4]]
    counted = list(read_frames(videos / name, first=number, count=2, every=2))
    assert [(f.time, f.raw.pts, samples(f.raw)[0][::7, ::7].sum()) for f in counted] == every[number : number + 4 : 2]
    assert [frame.index for frame in counted] == [0, 2]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("matrix", "red", "blue"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114), (9, 0.2627, 0.0593)])
@pytest.mark.parametrize(("pixel_format", "bits"), [("yuv444p", 8), ("yuv444p10le", 10)])
def test_colours_follow_the_matrix_and_range_of_the_file(tmp_path, full, matrix, red, blue, pixel_format, bits):
    source = make_video(tmp_path / "a.mkv", pixel_format, colorspace=matrix, color_range=1 + full)
    frame = next(read_frames(source))
    y, b, r = (plane / 2.0 ** (bits - 8) for plane in samples(frame.raw))
    steps = 255 if not full else (2**bits - 1) / 2 ** (bits - 8)
    y, b, r = (y / steps, (b - 128) / steps, (r - 128) / steps) if full else ((y - 16) / 219, (b - 128) / 224, (r - 128) / 224)
    expected = [y + 2 * (1 - red) * r, None, y + 2 * (1 - blue) * b]
    expected[1] = (y - red * expected[0] - blue * expected[2]) / (1 - red - blue)
    expected = torch.tensor(np.clip(np.stack(expected), 0, 1), dtype=torch.float32)[None]
    assert torch.allclose(frame.image(), expected, atol=1e-5)


def test_opencv_and_torch_upsample_chroma_alike():
    differences = torch.rand(1, 3, 17, 23)
    for rows, columns in ((34, 46), (17, 46), (68, 92)):
        expected = torch.nn.functional.interpolate(differences, (rows, columns), mode="bilinear")
        assert torch.allclose(upsample_by_opencv(differences, (rows, columns)), expected, atol=1e-5)


def test_ten_bits_are_not_reduced_to_eight(tmp_path):
    frame = next(read_frames(make_video(tmp_path / "a.mkv", "gray10le")))
    assert len(frame.image().unique()) > 400


@pytest.mark.parametrize(
    ("pixel_format", "codec", "kept"),
    [
        ("yuv420p", "h264", "yuv420p"),
        ("yuv420p10le", "h264", "yuv420p10le"),
        ("yuv420p10le", "av1", "yuv420p10le"),
        ("yuv422p", "h264", "yuv422p"),
        ("yuv444p12le", "hevc", "yuv444p12le"),
        ("yuva420p", "h264", "yuv420p"),
        ("gray", "h264", "yuv420p"),
        ("bgr0", "hevc", "gbrp"),
    ],
)
def test_samples_of_every_pixel_format_are_kept_where_the_encoder_supports_it(tmp_path, pixel_format, codec, kept):
    source = make_video(tmp_path / "a.mkv", pixel_format)
    made, frames = make_composer(source, codec)
    new = made.compose(frames[0])
    assert new.format.name == kept and (not made.notices or "a" in pixel_format[:4])
    for before, after in zip(samples(frames[0].raw), samples(new), strict=False):
        assert np.array_equal(before, after)
    rewrite(source, tmp_path / "b.mkv", codec=codec, crf=0)
    grey = pixel_format == "gray"
    assert torch.allclose(next(read_frames(tmp_path / "b.mkv")).image(), frames[0].image(), atol=0.05 if not grey else 0.02)


@pytest.mark.parametrize(
    ("pixel_format", "codec", "word"),
    [
        ("yuv422p", "av1", "fewer chroma samples"),
        ("yuv420p12le", "h264", "12 bits"),
        ("yuva420p", "h264", "transparency"),
        ("bgr0", "h264", "RGB"),
    ],
)
def test_what_an_encoder_cannot_preserve_is_reported(tmp_path, pixel_format, codec, word):
    made, frames = make_composer(make_video(tmp_path / "a.mkv", pixel_format), codec)
    assert word in " ".join(made.notices)
    image = planes.image(made.compose(frames[0]), made.colours)
    smooth = torch.nn.functional.avg_pool2d
    assert torch.allclose(smooth(image, 4), smooth(frames[0].image(), 4), atol=0.03)


@pytest.mark.parametrize(("codec", "kept"), [("h264", True), ("av1", False)])
def test_interlaced_stays_interlaced_where_the_encoder_supports_it(tmp_path, codec, kept):
    source = make_video(tmp_path / "a.mkv", "yuv420p", (64, 64), codec="mpeg2video", flags=0x40000)
    assert probe(source).interlaced
    notices = rewrite(source, tmp_path / "b.mp4", codec=codec)
    assert probe(tmp_path / "b.mp4").interlaced == kept and any("interlaced" in notice for notice in notices) != kept


def test_full_range_stays_full_range_through_rgb(tmp_path):
    source = make_video(tmp_path / "a.mkv", "yuv420p", color_range=2, colorspace=1, color_primaries=1, color_trc=1)
    made, frames = make_composer(source)
    new = samples(made.compose(frames[0], frames[0].image()))
    assert np.abs(new[0] - samples(frames[0].raw)[0]).max() <= 1
    rewrite(source, tmp_path / "b.mp4")
    assert probe(tmp_path / "b.mp4").colours == probe(source).colours


def test_a_weak_mask_blends_with_the_source_s_samples(videos):
    made, frames = make_composer(videos / "talk_cfr30_640x360.mp4")
    image = frames[0].image()
    mask = torch.full_like(image[:, :1], 0.1)
    new = samples(made.compose(frames[0], image * 0.9 + 0.1 * torch.ones_like(image), mask))
    white = [235, 128, 128]
    for plane, (before, after) in enumerate(zip(samples(frames[0].raw), new, strict=True)):
        assert np.abs(after - (0.9 * before + 0.1 * white[plane])).max() < 1


def test_an_enlarged_image_keeps_its_colours_and_its_size(videos, tmp_path):
    source = videos / "rot90_640x360.mp4"

    def double(frame):
        return (torch.nn.functional.interpolate(frame.image(), scale_factor=2, mode="bilinear"),)

    rewrite(source, tmp_path / "b.mp4", 0, 0.2, change=double)
    new, old = next(read_frames(tmp_path / "b.mp4")), next(read_frames(source))
    assert new.video.size == tuple(2 * side for side in old.video.size) and new.video.matrix == old.video.matrix
    assert (torch.nn.functional.avg_pool2d(new.image(), 2) - old.image()).abs().mean() < 0.01


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotated_and_mirrored_videos_are_upright_and_keep_their_display_matrix(tmp_path, degrees, flip):
    plain = make_video(tmp_path / "a.mp4", "yuv420p", codec="mpeg4")
    with av.open(str(plain)) as old, av.open(str(tmp_path / "b.mp4"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        stream.set_display_rotation(degrees, hflip=flip)
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    shown = next(read_frames(tmp_path / "b.mp4"))
    expected = torch.rot90(next(read_frames(plain)).image(), degrees // 90, (2, 3))
    expected = expected.flip(3) if flip else expected
    assert shown.video.size == tuple(expected.shape[2:]) and torch.equal(shown.image(), expected)
    rewrite(
        tmp_path / "b.mp4", tmp_path / "c.mp4", crf=1, change=lambda frame: (frame.image(), torch.ones(1, 1, *frame.video.size))
    )
    assert probe(tmp_path / "c.mp4").matrix == shown.video.matrix
    assert torch.allclose(next(read_frames(tmp_path / "c.mp4")).image(), expected, atol=0.1)


@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_other_containers_keep_times_and_audio(videos, tmp_path, suffix):
    source, target = videos / "hamilton_2s_speech_2997.mp4", tmp_path / f"b{suffix}"
    rewrite(source, target)
    times = [[float(frame.time) for frame in read_frames(path)] for path in (source, target)]
    assert times[1] == pytest.approx(times[0], abs=0.00051 if suffix == ".mkv" else 0)  # Matroska counts milliseconds
    assert packets(target) == packets(source)


def test_audio_that_webm_does_not_support_is_transcoded_in_sync(videos, tmp_path):
    source = videos / "hamilton_2s_speech_2997.mp4"
    notices = rewrite(source, tmp_path / "b.webm", 0.5, 1.0, codec=None)
    assert "WebM does not support audio as aac: transcoded to opus." in notices
    before, after = read_audio(source, 0.5, 1.0), read_audio(tmp_path / "b.webm")
    assert after.rate == 48_000
    grid = (np.arange(40_000) + 2000) / 44_100  # seconds; the other side is read between its samples
    waveforms = [np.interp(grid, np.arange(s.waveform.shape[1]) / s.rate, s.waveform[0].numpy()) for s in (before, after)]
    lags = {lag: np.corrcoef(waveforms[0][200:-200], np.roll(waveforms[1], lag)[200:-200])[0, 1] for lag in range(-60, 61, 2)}
    assert abs(max(lags, key=lags.get)) <= 10 and max(lags.values()) > 0.95  # 10 samples: a fifth of a millisecond


@pytest.mark.parametrize(
    ("name", "start", "duration"), [("hamilton_10s_speech_cuts.mp4", 2.5, 0.5), ("lp_d20_480sq_audio.mp4", 3.3, 0.5)]
)
def test_copied_audio_stays_in_sync_to_the_sample(videos, tmp_path, name, start, duration):
    rewrite(videos / name, tmp_path / "b.mp4", start, duration)
    before, after = read_audio(videos / name, start, duration), read_audio(tmp_path / "b.mp4", 0, duration)
    assert before.waveform.shape == (2, round(duration * 44_100))
    assert torch.allclose(before.waveform, after.waveform, atol=1e-4)


def test_audio_begins_where_the_window_begins(videos):
    audio = read_audio(videos / "hamilton_10s_speech_cuts.mp4")
    part = read_audio(videos / "hamilton_10s_speech_cuts.mp4", 3.0, 0.25)
    assert torch.allclose(part.waveform, audio.waveform[:, 3 * 44_100 : 3 * 44_100 + 11_025], atol=1e-4)
    assert bool((audio.waveform[:, :353] == 0).all())  # the stream begins 8 ms late
    assert read_audio(videos / "vfr_640x360.mp4") is None


@pytest.mark.parametrize(("given", "kept"), [("deu", "ger"), ("ger", "ger"), ("zho", "chi"), ("fre", "fra"), ("jpn", "jpn")])
def test_quicktime_keeps_the_language_of_audio(videos, tmp_path, given, kept):
    with av.open(str(videos / "hamilton_2s_speech_2997.mp4")) as old, av.open(str(tmp_path / "a.mkv"), "w") as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        streams[1].metadata["language"] = given
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    rewrite(tmp_path / "a.mkv", tmp_path / "b.mov", 0.0, 0.1)
    with av.open(str(tmp_path / "b.mov")) as new:
        assert new.streams.audio[0].metadata["language"] == kept  # ISO 639-2 has two codes for some


def test_a_cover_picture_is_kept_by_matroska_and_said_by_the_others(tmp_path):
    """It had no PTS, so no container got it and nobody said so."""
    source, cover = tmp_path / "a.mkv", io.BytesIO()
    Image.fromarray(stripes(3)).save(cover, "JPEG")
    plain = write_clip(tmp_path / "plain.mp4")
    with av.open(str(plain)) as old, av.open(str(source), "w") as new:
        video = new.add_stream_from_template(old.streams.video[0])
        new.add_attachment("cover.jpg", "image/jpeg", cover.getvalue())
        for packet in old.demux(video=0):
            packet.stream = video
            new.mux([packet] if packet.size else [])
    for start in (0.0, 0.2):
        assert not rewrite(source, tmp_path / "b.mkv", start=start, overwrite=True)
        with av.open(str(tmp_path / "b.mkv")) as container:
            (packet,) = (packet for packet in container.demux(container.streams[1]) if packet.size)
            assert bytes(packet) == cover.getvalue() and container.streams[1].metadata["filename"] == "cover.jpg"
    assert rewrite(source, tmp_path / "b.mp4") == ["The cover picture (mjpeg): not supported by MP4, left out."]


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "cover.jpg"), ("PNG", "cover.png")])
def test_a_cover_picture_without_a_name_gets_the_one_that_players_look_for(tmp_path, kind, name):
    source, cover = tmp_path / "a.mp4", tmp_path / "cover"
    Image.fromarray(stripes(3)).save(cover, kind)
    with (
        av.open(str(write_clip(tmp_path / "plain.mp4"))) as old,
        av.open(str(cover)) as picture,
        av.open(str(source), "w") as new,
    ):
        streams = [new.add_stream_from_template(one.streams.video[0]) for one in (old, picture)]
        streams[1].disposition = Disposition.attached_pic
        for one, stream in zip((old, picture), streams, strict=True):
            for packet in one.demux(video=0):
                packet.stream = stream
                new.mux([packet] if packet.size else [])
    assert not rewrite(source, tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.streams[1].metadata["filename"] == name


def test_streams_languages_chapters_and_tags_are_kept(videos, tmp_path):
    source = videos / "nasa_13013_multistream.mp4"
    with av.open(str(source)) as old, av.open(str(tmp_path / "a.mp4"), "w", options={"movflags": "use_metadata_tags"}) as new:
        streams = {stream.index: new.add_stream_from_template(stream, opaque=True) for stream in old.streams}
        streams[1].metadata["language"] = "deu"
        new.metadata.update({"title": "A title", "workflow": '{"nodes": []}'})
        new.set_chapters(
            [
                {"id": 1, "start": 0, "end": 3000, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
                {"id": 2, "start": 3000, "end": 12000, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}},
            ]
        )
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    assert rewrite(tmp_path / "a.mp4", tmp_path / "b.mp4", 2.0, 3.0) == []
    with av.open(str(tmp_path / "b.mp4")) as new:
        kinds = [stream.type for stream in new.streams]  # with one for the chapters
        assert kinds == ["video", "audio", "subtitle", "video", "audio", "subtitle", "data"]
        assert next(iter(new.streams.audio)).metadata["language"] == "deu"
        assert (new.metadata["title"], new.metadata["workflow"]) == ("A title", '{"nodes": []}')
        marks = [
            (c["metadata"]["title"], float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]))
            for c in new.chapters()
        ]
        assert marks == [("One", 0.0, 1.0), ("Two", 1.0, 3.0)]
        other = [frame.time for frame in new.decode(new.streams.video[1])]
        assert other[0] <= 0.05 and 2.9 < other[-1] < 3.05


def test_odd_sizes_are_kept(videos, tmp_path):
    source = videos / "odd_479x271_vp9.webm"
    for codec, suffix, kept in (("av1", ".webm", "yuv420p"), ("h264", ".mp4", "yuv444p"), ("hevc", ".mp4", "yuv444p")):
        target = tmp_path / f"{codec}{suffix}"
        notices = rewrite(source, target, 0, 0.2, codec=codec)
        after = probe(target)
        assert after.size == (271, 479) and pixel_format(target).name == kept
        assert ("4:4:4" in " ".join(notices)) == (kept == "yuv444p")
        assert (next(read_frames(target)).image() - next(read_frames(source)).image()).abs().mean() < 0.01


@pytest.mark.parametrize("codec", CONTAINERS[".mp4"].codecs)
def test_each_codec_of_this_build_writes_and_keeps_ten_bits(videos, tmp_path, codec):
    target = tmp_path / "b.mp4"
    assert rewrite(videos / "hevc10_640x360.mp4", target, codec=codec) == []
    assert pixel_format(target).name == "yuv420p10le" and probe(target).frames == 15
    old, new = (next(read_frames(path)) for path in (videos / "hevc10_640x360.mp4", target))
    error = np.mean((samples(old.raw)[0] - samples(new.raw)[0]) ** 2.0)
    assert 10 * np.log10(1023**2 / error) > 45  # decibels


def test_a_video_in_memory_is_read_while_it_is_rewritten(videos, tmp_path):
    source = io.BytesIO((videos / "cut_black_640x360.mp4").read_bytes())
    rewrite(source, tmp_path / "b.mp4")
    assert probe(tmp_path / "b.mp4").frames == probe(source).frames == 40


def test_the_number_of_frames_is_estimated_before_decoding(videos):
    for name, part, frames in (
        ("talk_cfr30_640x360.mp4", {}, 60),
        ("talk_cfr30_640x360.mp4", {"start": 0.5, "duration": 1.0, "every": 2}, 15),
        ("talk_cfr30_640x360.mp4", {"first": 50, "count": 20}, 10),
        ("hamilton_10s_speech_cuts.mp4", {"start": 2.0}, 241),
        ("no_duration_vp9_VFR.webm", {}, 0),
    ):
        assert abs(estimate_frames(probe(videos / name), **part) - frames) <= 1


def test_the_last_frame_keeps_its_duration(videos, tmp_path):
    rewrite(videos / "vfr_640x360.mp4", tmp_path / "b.mp4")
    assert [frame.raw.duration for frame in read_frames(tmp_path / "b.mp4")][-1] == 3000
    assert probe(tmp_path / "b.mp4").duration == probe(videos / "vfr_640x360.mp4").duration


def test_default_encoders_have_a_valid_quality_and_a_smallest_size():
    for codec in CODECS:
        encoder = codecs.find_encoder(codec)
        assert 0 < encoder.crf < encoder.max_crf
        with pytest.raises(ValueError, match="cannot encode frames of 1 x 1"):
            codecs.pixel_format(encoder, "yuv420p", 1, 1)


_PEAK = """
import sys
from codeformer_core.video_io import VideoWriter, read_frames
with VideoWriter(sys.argv[2], sys.argv[1]) as writer:
    for frame in read_frames(sys.argv[1]):
        writer.write(frame, frame.image())
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the peak of a process from /proc, which is Linux")
def test_memory_does_not_grow_with_the_length(videos, tmp_path):
    peaks = []
    for times in (1, 3):
        looped = tmp_path / f"{times}.mp4"
        with av.open(str(videos / "talk_cfr30_640x360.mp4")) as old:
            found = [packet for packet in old.demux(video=0) if packet.size]
            with av.open(str(looped), "w") as new:
                stream = new.add_stream_from_template(old.streams.video[0])
                for number in range(times):
                    for packet in found:
                        copy = av.Packet(bytes(packet))
                        copy.time_base, copy.stream, copy.is_keyframe = packet.time_base, stream, packet.is_keyframe
                        copy.pts, copy.dts = packet.pts + number * 60 * 512, packet.dts + number * 60 * 512
                        copy.duration = packet.duration
                        new.mux(copy)
        command = [sys.executable, "-c", _PEAK, str(looped), str(tmp_path / f"out{times}.mp4")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert probe(tmp_path / f"out{times}.mp4").frames == 60 * times
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 20, peaks  # MiB; 120 more frames are 40 MiB as decoded and 316 MiB as images
