"""Presets, and encoders on graphics cards: the one that works is taken, else the processor's, which is said."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from small_clips import write_clip

from codeformer_core.video_io import CODECS, VideoWriter, hardware, read_frames
from codeformer_core.video_io.codecs import PRESETS, Encoder, find_encoder

#: In the place of a graphics card: x264 without loss, in a pixel format that our frames have to be converted to.
STAND_IN = Encoder(
    "libx264",
    0,
    51,
    ("preset", "ultrafast", "superfast", "veryfast"),
    {"crf": "0"},
    lambda _: {},
    hardware=True,
    surface="nv12",
)


def rewrite(source: Path, target: Path, **options) -> list[str]:
    """The notices."""
    with VideoWriter(target, source, codec="h264", **options) as writer:
        for frame in read_frames(source):
            writer.write(frame)
    return writer.notices


def frames_of(path: Path) -> torch.Tensor:
    return torch.cat([frame.image() for frame in read_frames(path)])


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", "libx264", frames=5)


@pytest.fixture
def card(monkeypatch):
    monkeypatch.setattr(hardware, "HARDWARE", (STAND_IN,))


@pytest.fixture
def no_card(monkeypatch):
    monkeypatch.setattr(hardware, "HARDWARE", tuple(one for one in hardware.HARDWARE if one.name.endswith("_nvenc")))
    if any(hardware.find_hardware(codec, "yuv420p", 256, 256, Fraction(30)) for codec in CODECS):
        pytest.skip("this machine has a graphics card that encodes")


def test_a_preset_says_how_hard_the_encoder_searches(clip, tmp_path):
    for preset, searched in {"fast": b"subme=2", "medium": b"subme=7", "slow": b"subme=8"}.items():  # as x264's own log has it
        rewrite(clip, tmp_path / f"{preset}.mp4", preset=preset)
        assert searched in (tmp_path / f"{preset}.mp4").read_bytes()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_takes_every_preset(clip, tmp_path, codec, preset):
    if find_encoder(codec) is None:
        pytest.skip(f"this PyAV has no encoder for {codec}")
    with VideoWriter(tmp_path / "new.mkv", clip, codec=codec, preset=preset) as writer:
        for frame in read_frames(clip):
            writer.write(frame)
    assert len(frames_of(tmp_path / "new.mkv")) == 5


def test_a_preset_that_is_not_there_is_named(clip, tmp_path):
    with pytest.raises(ValueError, match="'ultrafast' is no preset. Use one of: fast, medium, slow"):
        VideoWriter(tmp_path / "new.mp4", clip, preset="ultrafast")


def test_the_graphics_card_encodes_the_same_samples(clip, tmp_path, card):
    assert rewrite(clip, tmp_path / "new.mp4", hardware=True) == []
    assert torch.equal(frames_of(tmp_path / "new.mp4"), frames_of(clip))
    rewrite(clip, tmp_path / "lossy.mp4")
    assert not torch.equal(frames_of(tmp_path / "lossy.mp4"), frames_of(clip))


def test_without_a_graphics_card_the_processor_encodes_and_it_is_said(clip, tmp_path, no_card):
    notices = rewrite(clip, tmp_path / "new.mp4", hardware=True)
    assert notices == ["No graphics card here encodes this video in h264: the processor did it."]
    rewrite(clip, tmp_path / "same.mp4")
    assert (tmp_path / "new.mp4").read_bytes() == (tmp_path / "same.mp4").read_bytes()


@pytest.mark.parametrize(
    "kind",
    [{"pixel_format": "yuv420p10le"}, {"pixel_format": "yuv444p"}, {"size": (63, 96), "pixel_format": "yuv444p"}],
    ids=["10 bits", "4:4:4", "an odd size"],
)
def test_what_a_graphics_card_would_spoil_is_encoded_by_the_processor(tmp_path, card, kind):
    source = write_clip(tmp_path / "source.mkv", "libx264", frames=3, **kind)
    notices = rewrite(source, tmp_path / "new.mp4", hardware=True)
    assert "No graphics card here encodes this video in h264: the processor did it." in notices
    assert next(read_frames(tmp_path / "new.mp4")).raw.format.name == kind["pixel_format"]


def test_every_encoder_of_graphics_cards_in_this_build_is_of_a_codec_and_has_all_presets():
    for encoder in hardware.HARDWARE:
        assert encoder.name.partition("_")[0] in CODECS
        assert all(encoder.settings(16, preset) for preset in PRESETS)
