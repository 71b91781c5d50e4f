"""How long frames last where the rate varies, and what is said of damaged sound."""

from fractions import Fraction
from pathlib import Path

import av
import pytest
from small_clips import write_clip

from codeformer_core.video_io import VideoWriter, probe, read_audio, read_frames

TIMES = [Fraction(number, 30) for number in (0, 1, 5, 6, 20, 21, 47, 48, 60)]


def rewrite(source: Path, target: Path, **options) -> list[str]:
    with VideoWriter(target, source, **{"codec": None, **options}) as writer:
        for frame in read_frames(source):
            writer.write(frame)
    return writer.notices


def lasts(path: Path) -> list[tuple[float, float]]:
    """When each frame begins, and how long it is shown."""
    unit = probe(path).time_base
    return [(float(frame.time), float(frame.raw.duration * unit)) for frame in read_frames(path)]


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "h264"), (".mp4", "hevc"), (".mov", "h264"), (".mkv", "h264"), (".webm", "vp9")]
)
def test_frames_of_a_variable_rate_last_until_the_next_one_and_the_last_as_long_as_it_did(tmp_path, suffix, codec, b_frames):
    source = write_clip(tmp_path / "a.mkv", "libx264", None, times=TIMES, options={"bf": str(b_frames)})
    ends = [*TIMES[1:], TIMES[-1] + Fraction(1, 25)]
    expected = [(float(begin), float(end - begin)) for begin, end in zip(TIMES, ends, strict=True)]
    assert lasts(source) == [pytest.approx(one, abs=0.0011) for one in expected]
    rewrite(source, tmp_path / f"b{suffix}", codec=codec)
    assert lasts(tmp_path / f"b{suffix}") == [pytest.approx(one, abs=0.0011) for one in expected]
    assert probe(tmp_path / f"b{suffix}").duration == pytest.approx(2.04, abs=0.0011)


@pytest.fixture(params=[b"\xff", b"\0"])
def damaged(request, tmp_path) -> Path:
    """A clip whose sound has damage from 0.19 s on."""
    source = write_clip(tmp_path / "a.mkv", "mpeg4", "aac", frames=25)
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    data = bytearray(source.read_bytes())
    for packet in packets[10:13]:
        place = data.find(bytes(packet))
        data[place : place + packet.size] = request.param * packet.size
    (tmp_path / "damaged.mkv").write_bytes(data)
    return tmp_path / "damaged.mkv"


def test_damaged_sound_that_becomes_silence_is_said(damaged, tmp_path):
    sentence = "The audio is damaged at 0.19, 0.21, 0.23 s"
    assert any(sentence in notice and "silent there" in notice for notice in rewrite(damaged, tmp_path / "b.webm"))
    audio = read_audio(damaged)
    assert sentence in audio.notices[0] and audio.waveform.shape[1] == pytest.approx(48_000, abs=2100)
    assert read_audio(tmp_path / "a.mkv").notices == []
