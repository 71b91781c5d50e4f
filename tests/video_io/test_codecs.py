"""Rates, transparency and sizes that not every encoder and container holds: the one that does is taken, or named."""

import os
import struct
import sys
import time
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from small_clips import stripes, write_clip

from codeformer_core.video_io import CODECS, CONTAINERS, PartsWriter, VideoWriter, codecs, planes, probe, read_frames, read_part

FAST = {"cpu-used": "8", "deadline": "realtime"}


def rewrite(source: Path, target: Path, change=lambda frame: (), **options) -> list[str]:
    """The notices of reading and writing every frame."""
    reader = read_frames(source)
    with VideoWriter(target, source, **{"codec": None, **options}) as writer:
        for frame in reader:
            writer.write(frame, *change(frame))
    return [*reader.notices, *writer.notices]


def alpha_of(path: Path) -> np.ndarray | None:
    """The transparency of the first frame, 0 to 1; None where it has none."""
    frame = planes.planar(next(read_frames(path)).raw)
    if not planes.has_alpha(frame.format):
        return None
    return frame.to_ndarray(format="rgba")[..., 3] / 255


def write_tape(path: Path, pal: bool, frames: int = 2) -> Path:
    """DV as cameras wrote it on tape; AVI is type 1, in which sound and frames are one stream."""
    tape = path.with_suffix(".dv")
    with av.open(str(tape), "w") as output:
        stream = output.add_stream("dvvideo", rate=25 if pal else Fraction(30000, 1001))
        stream.height, stream.width, stream.pix_fmt = (576, 720, "yuv420p") if pal else (480, 720, "yuv411p")
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(stripes(number, (stream.height, 720)), format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    if path.suffix == ".dv":
        return path
    with av.open(str(tape)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    rate, scale = (25, 1) if pal else (30000, 1001)

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data

    main = struct.pack("<14I", 40_000, 0, 0, 0x10, frames, 0, 1, len(packets[0]), 720, 576, 0, 0, 0, 0)
    header = b"iavsdvsd" + struct.pack("<10I", 0, 0, 0, scale, rate, 0, frames, len(packets[0]), 0xFFFFFFFF, 0) + bytes(8)
    stream_list = chunk(b"LIST", b"strl" + chunk(b"strh", header) + chunk(b"strf", bytes(32)))
    index = b"".join(
        b"00__" + struct.pack("<3I", 0x10, 4 + number * (8 + len(packet)), len(packet)) for number, packet in enumerate(packets)
    )
    body = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + stream_list)
    body += chunk(b"LIST", b"movi" + b"".join(chunk(b"00__", packet) for packet in packets)) + chunk(b"idx1", index)
    path.write_bytes(chunk(b"RIFF", b"AVI " + body))
    return path


@pytest.mark.parametrize("pal", [True, False], ids=["PAL", "NTSC"])
@pytest.mark.parametrize("suffix", [".dv", ".avi"])
def test_tapes_have_their_own_frame_rate_not_that_of_the_clock(tmp_path, suffix, pal):
    source, rate = write_tape(tmp_path / f"a{suffix}", pal), 25 if pal else Fraction(30000, 1001)
    assert probe(source).rate == rate and probe(source).frames == 2
    notices = rewrite(source, tmp_path / "b.mp4")
    assert probe(tmp_path / "b.mp4").rate == rate and probe(tmp_path / "b.mp4").interlaced
    assert [bool(notices), "4:1:1" in " ".join(notices)] == [not pal] * 2, notices
    assert "size" not in " ".join(notices) and "av1" not in " ".join(notices)


def test_a_rate_that_only_the_time_stamps_tell_is_that(tmp_path):
    source = write_clip(tmp_path / "a.ts", "libx264", None, rate=480, frames=30)
    assert float(probe(source).rate) == pytest.approx(480, rel=0.01)
    assert probe(write_clip(tmp_path / "one.ts", "libx264", None, frames=1)).rate == 0
    rewrite(tmp_path / "one.ts", tmp_path / "b.mp4")
    assert len(list(read_frames(tmp_path / "b.mp4"))) == 1


@pytest.mark.parametrize("rate", [241, 300, 480, 1000])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_slow_motion_is_written_in_every_container(tmp_path, suffix, rate):
    source, target = write_clip(tmp_path / "a.mp4", "mpeg4", None, rate=rate), tmp_path / f"b{suffix}"
    assert rewrite(source, target) == []
    times = [float(frame.time) for frame in read_frames(target)]
    assert times == pytest.approx([index / rate for index in range(12)], abs=0.00051)


def test_a_codec_that_is_too_slow_for_the_rate_is_refused_before_the_work_with_one_that_is_not(tmp_path):
    source = write_clip(tmp_path / "a.mp4", "mpeg4", None, rate=480)
    with pytest.raises(ValueError, match=r"480 frames a second, av1 encodes at most 240\. Use h264 or hevc, or"):
        VideoWriter(tmp_path / "b.mp4", source, codec="av1")
    with pytest.raises(ValueError, match=r"Use vp9, or write a lower frame rate"):
        VideoWriter(tmp_path / "b.webm", source, codec="av1")
    for target, codec in (("b.mp4", "h264"), ("b.mp4", "hevc"), ("b.webm", "vp9")):
        rewrite(source, tmp_path / target, codec=codec, overwrite=True)
    VideoWriter(tmp_path / "c.webm", source, codec="av1", rate=Fraction(120))


def test_more_frames_a_second_than_matroska_tells_apart_are_refused_before_the_work(tmp_path):
    source = write_clip(tmp_path / "a.mp4", "mpeg4", None, rate=2000)
    for suffix in (".mkv", ".webm"):
        with pytest.raises(ValueError, match=r"2000 frames a second, .* at most 1000\. Write a \.mp4 or \.mov, or a lower"):
            VideoWriter(tmp_path / f"b{suffix}", source, codec=None)
    for suffix in (".mp4", ".mov"):
        rewrite(source, tmp_path / f"b{suffix}")
        assert len({frame.time for frame in read_frames(tmp_path / f"b{suffix}")}) == 12


@pytest.fixture(params=["vp8", "vp9"])
def transparent(request, tmp_path) -> Path:
    encoder, more = {"vp8": ("libvpx", {"auto-alt-ref": "0"}), "vp9": ("libvpx-vp9", {})}[request.param]
    options = {**FAST, **more, "crf": "10", "b": "1000000"}
    return write_clip(tmp_path / "a.webm", encoder, None, pixel_format="yuva420p", alpha=True, options=options)


@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
def test_transparency_of_webm_is_kept_where_the_output_can(transparent, tmp_path, suffix):
    assert probe(transparent).alpha
    assert not any("transparency" in notice for notice in rewrite(transparent, tmp_path / f"b{suffix}"))
    alpha = alpha_of(tmp_path / f"b{suffix}")
    assert alpha[:, :40].min() > 0.9 and alpha[:, 56:].max() < 0.1
    assert len(list(read_frames(tmp_path / f"b{suffix}"))) == 12


def test_transparency_of_webm_that_cannot_be_kept_is_said(transparent, tmp_path):
    for suffix, codec in ((".mp4", None), (".webm", "av1"), (".mkv", "h264")):
        notices = rewrite(transparent, tmp_path / f"b{suffix}", codec=codec)
        assert "The source's transparency is left out: the result's codec has none." in notices
        assert alpha_of(tmp_path / f"b{suffix}") is None


def test_transparency_without_a_decoder_that_sees_it_is_said_too(transparent, tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libvpx", "libvpx-vp9"})
    assert "The source's transparency is left out: the result's codec has none." in rewrite(transparent, tmp_path / "b.mp4")


def test_a_range_of_a_transparent_video_has_its_own_frames(transparent):
    every = [frame.image() for frame in read_frames(transparent)]
    part = [frame.image() for frame in read_frames(transparent, 0.16, 0.2)]
    assert len(part) == 5 and all(torch.equal(one, other) for one, other in zip(part, every[4:9], strict=True))


def test_transparency_is_kept_when_frames_are_enlarged_or_stored_as_rgb(transparent, tmp_path):
    def double(frame):
        return (torch.nn.functional.interpolate(frame.image(), scale_factor=2),)

    rewrite(transparent, tmp_path / "b.webm", double)
    alpha = alpha_of(tmp_path / "b.webm")
    assert alpha.shape == (128, 192) and alpha[:, :80].min() > 0.9 and alpha[:, 112:].max() < 0.1
    moving = write_clip(tmp_path / "a.mov", "qtrle", None, pixel_format="argb", alpha=True)
    assert "transparency is left out" in " ".join(rewrite(moving, tmp_path / "b.mp4"))
    assert "transparency" not in " ".join(rewrite(moving, tmp_path / "c.webm"))
    alpha = alpha_of(tmp_path / "c.webm")
    assert alpha[:, :40].min() > 0.9 and alpha[:, 56:].max() < 0.1


@pytest.mark.parametrize(
    ("pixel_format", "suffix", "codec"),
    [("yuv420p", ".mp4", "av1"), ("yuv420p10le", ".mp4", "av1"), ("yuv420p", ".webm", "av1"), ("yuv420p", ".mov", None)],
)
def test_advice_on_an_odd_size_names_a_codec_that_keeps_it(tmp_path, pixel_format, suffix, codec):
    source = write_clip(tmp_path / "a.mkv", "ffv1", None, size=(63, 95), pixel_format=pixel_format)
    first = "h264" if "h264" in CONTAINERS[suffix].codecs else codec
    notices = rewrite(source, tmp_path / f"b{suffix}", codec=first)
    if suffix == ".webm":
        assert notices == []
        return
    assert "4:4:4" in notices[0] and (f"{codec} keeps such sizes" in notices[0] if codec else "keeps" not in notices[0])
    if codec:
        assert rewrite(source, tmp_path / f"b{suffix}", codec=codec, overwrite=True) == []
        assert next(read_frames(tmp_path / f"b{suffix}")).raw.format.name == pixel_format


@pytest.mark.parametrize(("height", "kept"), [(64, True), (66, False), (63, False)])
def test_interlaced_frames_are_written_whatever_their_height(tmp_path, height, kept):
    source = write_clip(tmp_path / "a.mkv", "mpeg2video", None, size=(height, 96), options={"flags": "+ildct+ilme"})
    assert probe(source).interlaced
    notices = " ".join(rewrite(source, tmp_path / "b.mp4"))
    assert probe(tmp_path / "b.mp4").interlaced == kept and ("progressive" in notices) != kept
    assert ("4:4:4" in notices) == (height == 63) and "av1" not in notices, "av1 would lose the fields"


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "hevc"), (".mkv", "hevc"), (".mov", "hevc")])
def test_advice_on_a_size_that_an_encoder_does_not_hold_names_those_that_do(tmp_path, suffix, codec):
    source = write_clip(tmp_path / "a.mkv", "ffv1", None, size=(24, 24))
    with pytest.raises(ValueError, match=r"libx265 cannot encode frames of 24 x 24\. Use (.*)\.") as failed:
        rewrite(source, tmp_path / f"b{suffix}", codec=codec)
    named = str(failed.value).split("Use ")[1].rstrip(".").split(" or ")
    assert "h264" in named
    for better in named:
        rewrite(source, tmp_path / f"b{suffix}", codec=better, overwrite=True)


def test_the_first_codec_of_each_container_is_built_in():
    for container in CONTAINERS.values():
        assert container.encoder_for(None, Fraction(25), False) == codecs.find_encoder(container.codecs[0])
        assert set(container.codecs) <= set(CODECS)


def test_cases_from_the_field(shared, tmp_path):
    cases = shared / "data" / "cases"
    assert probe(cases / "dv_tape_60000fps" / "one_frame_pal.dv").rate == 25
    assert rewrite(cases / "dv_tape_60000fps" / "one_frame_pal.dv", tmp_path / "a.mp4") == []
    assert rewrite(cases / "webm_over_240fps" / "slowmo480.webm", tmp_path / "b.webm") == []
    assert len(list(read_frames(tmp_path / "b.webm"))) == 20
    source = cases / "webm_alpha_lost_silently" / "vp9_alpha.webm"
    assert "transparency is left out" in " ".join(rewrite(source, tmp_path / "c.mp4"))
    rewrite(source, tmp_path / "c.webm")
    before, after = alpha_of(source), alpha_of(tmp_path / "c.webm")
    assert np.abs(before - after).mean() < 0.02 and before.std() > 0.1


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0 or sys.platform != "linux", reason="needs root on Linux")
@pytest.mark.parametrize("written", ["whole", "in parts", "tried"])
def test_no_encoder_makes_threads_real_time(tmp_path, written):
    """SVT-AV1 does, its own and the caller's: nothing else would run, and all that is started later would inherit it."""

    def policies() -> set[int]:
        """Once they are as before, if they become so: while an encoder opens they are not."""
        end = time.monotonic() + 10
        while True:
            found = set()
            for thread in os.listdir("/proc/self/task"):
                with suppress(ProcessLookupError):  # it has ended
                    found.add(os.sched_getscheduler(int(thread)))
            if found == {os.SCHED_OTHER} or time.monotonic() > end:
                return found
            time.sleep(0.01)

    source, target = write_clip(tmp_path / "a.mkv", frames=8), tmp_path / "b.mkv"
    try:
        if written == "tried":
            assert codecs.opens(CODECS["av1"][0], "yuv420p", 64, 64, Fraction(25))
        else:
            how = {"whole": VideoWriter, "in parts": partial(PartsWriter, tmp_path / "parts")}[written]
            with how(target, source, codec="av1") as writer:
                for frame in read_frames(source):
                    writer.write(frame)  # the last ones wait for the first, with which the encoder opens
                assert policies() == {os.SCHED_OTHER}
                if written == "in parts":
                    writer.end_part({})
            if written == "in parts":
                writer.join([read_part(path) for path in (tmp_path / "parts").iterdir()])
        assert policies() == {os.SCHED_OTHER}
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
