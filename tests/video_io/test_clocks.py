"""A film begins with its first frame, whatever the file's clock shows there: transport streams, camcorders, DVDs, Matroska."""

from pathlib import Path

import av
import numpy as np
import pytest
from small_clips import write_clip

from codeformer_core.video_io import VideoWriter, estimate_frames, probe, read_audio, read_frames

#: Suffix -> how such files are made: video codec, audio codec, options.
KINDS = {
    ".ts": ("libx264", "aac", {}),
    ".m2ts": ("libx264", "ac3", {"container": "mpegts", "muxing": {"mpegts_m2ts_mode": "1"}}),
    ".vob": ("mpeg2video", "mp2", {"container": "vob"}),
    ".mpg": ("mpeg1video", "mp2", {}),
    ".mkv": ("libx264", "aac", {}),
    ".webm": ("libvpx-vp9", "libopus", {"options": {"cpu-used": "8", "deadline": "realtime"}}),
    ".flv": ("libx264", "aac", {}),
    ".asf": ("mpeg4", "mp2", {}),
    ".nut": ("mpeg4", "aac", {}),
    ".mp4": ("libx264", "aac", {}),
}


def rewrite(source: Path, target: Path, start: float = 0.0, duration: float = 0.0) -> tuple[list[float], list[str]]:
    """The times of the frames that were read, and all notices."""
    reader, times = read_frames(source, start, duration), []
    with VideoWriter(target, source, codec=None, start=start, duration=duration, overwrite=True) as writer:
        for frame in reader:
            writer.write(frame)
            times.append(float(frame.time))
    return times, [notice for notice in [*reader.notices, *writer.notices] if "does not support audio" not in notice]


def beginnings(path: Path) -> tuple[float, float]:
    """The seconds at which the first frame is shown, and the first sound is heard."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    with av.open(str(path)) as container:
        loud = next(sound for sound in container.decode(audio=0) if np.abs(sound.to_ndarray()).max() > 0.01)
    return float(frame.time), float(loud.time)


@pytest.mark.parametrize("clock", [1.4, 5001.4])
@pytest.mark.parametrize("suffix", KINDS)
def test_a_film_begins_at_zero_and_its_sound_stays_in_place(tmp_path, suffix, clock):
    video, audio, options = KINDS[suffix]
    source = write_clip(tmp_path / f"a{suffix}", video, audio, clock=clock, **options)
    times, notices = rewrite(source, tmp_path / "b.mp4")
    assert len(times) == 12 and times == pytest.approx([index / 25 for index in range(12)], abs=0.002) and notices == []
    old, new = beginnings(source), beginnings(tmp_path / "b.mp4")
    assert old[0] == pytest.approx(clock, abs=0.2) and new[0] == pytest.approx(0, abs=0.001)
    assert new[1] - new[0] == pytest.approx(old[1] - old[0], abs=0.03)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.start_time == 0 and container.duration / av.time_base == pytest.approx(0.48, abs=0.05)


@pytest.mark.parametrize("suffix", KINDS)
def test_start_and_duration_count_from_the_first_frame(tmp_path, suffix):
    video, audio, options = KINDS[suffix]
    source = write_clip(tmp_path / f"a{suffix}", video, audio, clock=600, **options)
    every = [(float(frame.time), frame.raw.pts) for frame in read_frames(source)]
    assert [frame.raw.pts for frame in read_frames(source, 0, 0.2)] == [pts for time, pts in every if time < 0.199]
    part = list(read_frames(source, 0.16, 0.2))
    assert [frame.raw.pts for frame in part] == [pts for time, pts in every if 0.158 < time < 0.358]
    assert float(part[0].time) == pytest.approx(0, abs=0.002)
    if suffix not in (".vob", ".mpg"):  # their twelve frames lie in one pack, with one time stamp
        assert abs(estimate_frames(probe(source), 0.16, 0.2) - 5) <= 1
    sound = read_audio(source, 0.16, 0.2)
    assert sound.waveform.shape[1] == pytest.approx(0.2 * sound.rate, abs=2) and float(sound.waveform.abs().max()) > 0.1


def test_sound_that_begins_before_the_first_frame_of_a_recording_is_kept(tmp_path):
    source = write_clip(tmp_path / "a.ts", "libx264", clock=600, late=0.5)
    times, notices = rewrite(source, tmp_path / "b.mp4")
    assert times[0] == 0 and notices == []
    first, sound = beginnings(tmp_path / "b.mp4")
    assert sound == pytest.approx(0, abs=0.03) and first - sound == pytest.approx(0.5, abs=0.03)
    rewrite(source, tmp_path / "b.mkv")
    assert np.diff(beginnings(tmp_path / "b.mkv")) == pytest.approx(-0.5, abs=0.03)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_picture_track_that_begins_late_stays_late(tmp_path, suffix):
    source = write_clip(tmp_path / f"a{suffix}", "libx264", late=0.85)
    times, _ = rewrite(source, tmp_path / f"b{suffix}")
    assert times[0] == pytest.approx(0.85, abs=0.001)
    assert beginnings(tmp_path / f"b{suffix}") == pytest.approx(beginnings(source), abs=0.001)


def test_a_range_before_a_late_picture_track_says_where_that_begins(tmp_path):
    source = write_clip(tmp_path / "a.mp4", "libx264", late=0.85)
    with pytest.raises(
        ValueError, match="no frame in the window 0 s to 0.5 s: its first frame comes at 0.85 s, after sound alone"
    ):
        next(read_frames(source, 0, 0.5))
    assert len(list(read_frames(source, 0.85, 0.2))) == 5


def test_a_picture_track_alone_that_begins_late_begins_at_zero(tmp_path):
    source = write_clip(tmp_path / "a.mp4", "libx264", None, clock=0.85)
    rewrite(source, tmp_path / "b.mp4")
    assert probe(tmp_path / "b.mp4").begin == 0


def test_a_cut_off_film_on_a_late_clock_is_reported_with_its_own_times(tmp_path):
    whole = write_clip(tmp_path / "a.mkv", "mjpeg", None, clock=600, frames=25, pixel_format="yuvj420p")
    assert rewrite(whole, tmp_path / "b.mp4")[1] == []
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    _, notices = rewrite(tmp_path / "cut.mkv", tmp_path / "c.mp4")
    assert any("should last 1.0 s and ends at 0." in notice for notice in notices)


def test_cases_from_the_field(shared, tmp_path):
    cases = shared / "data" / "cases"
    for name, frames in (
        ("ts_start_time_kept/tv_small.ts", 21),
        ("mkv_offset_false_alarm/offset.mkv", 21),
        ("video_kinds_left_out_in_silence/phone.m2ts", 21),
    ):
        times, notices = rewrite(cases / name, tmp_path / "b.mp4")
        assert len(times) == frames and notices == [] and len(list(read_frames(cases / name, 0, 0.5))) == 15
        assert probe(tmp_path / "b.mp4").begin == 0 and probe(tmp_path / "b.mp4").duration == pytest.approx(0.7, abs=0.01)
