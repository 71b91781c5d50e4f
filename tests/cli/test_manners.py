"""What people type by mistake or by habit is understood, or answered with what they meant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn import draw, files

from codeformer_core.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("fix -i DIR -o OUT", "-i is not needed: name files and folders right after `codeformer fix`"),
        ("fix --input_path DIR -o OUT", "--input_path is not needed"),
        ("fix DIR -o OUT -s 2", "Did you mean --upscale?"),
        ("video DIR -o OUT --save_video_fps 24", "Did you mean --fps?"),
        ("fxi DIR -o OUT", "Did you mean fix?"),
        ("Colourize DIR -o OUT", "Did you mean colorize?"),
        ("a.png", "as in `codeformer fix a.png -o OUT`"),
        ("models fecth yunet", "Did you mean fetch?"),
        ("models fetch codefromer", "Did you mean codeformer?"),
        ("fix a.png -o OUT --detector retinaface-resnet", "Did you mean retinaface-resnet50?"),
        ("fix a.png -o OUT --model Codeformer", "Did you mean codeformer?"),
        ("fix clip.mp4 -o OUT", "clip.mp4 is a video: use `codeformer video`."),
        ("fix CLIPS -o OUT", "Found 1 video (.mp4): use `codeformer video`."),
        ("video a.png -o OUT", "a.png is an image: use `codeformer fix`."),
        ("fix *.jpg -o OUT", "*.jpg matches no file."),
        ("fix a.png -o OUT --download --detector codeformer", "codeformer is a restorer for restoration. Needed is a detector"),
        ("fix a.png -o OUT --download --model codeformer-inpainting", "Needed is a restorer: choose codeformer, starter"),
        ("fix a.png -o OUT --download --second-model yunet", "yunet is a detector. Needed is a restorer"),
        ("fix a.png -o OUT --download --mask face --parser gfpgan-1.4", "Needed is a parser: choose parsenet, bisenet."),
        ("fix a.png -o OUT --download --face-upscaler big-lama", "Needed is an upscaler: choose realesrgan-x2plus"),
        ("inpaint a.png -o OUT --download --background-inpainter ddcolor", "Needed is a background: choose big-lama"),
        ("fix a.png -o OUT --download --keep-out-model mtcnn", "Needed is an occluder: choose the path of a file."),
        ("reconstruct a.png -o OUT --download --model codeformer", "Needed is a codebook: choose the path of a file."),
        (
            "fix a.png -o OUT --detector retinaface",
            "or one of these names: retinaface-resnet50, retinaface-mobile0.25, yunet, m",
        ),
        ("fix a.png -o OUT --model CLIPS", "CLIPS is a folder. Give the path of a file"),
        ("fix a.png -o OUT --like CLIPS", "CLIPS is a folder, expected a file"),
        ("fix a.png -o OUT --faces-from CLIPS", "CLIPS is a folder, expected a file"),
        ("fix a.png -o OUT.gif", "OUT.gif ends like a file of a kind that this command does not write"),
        ("video clip.mp4 -o OUT.png", "OUT.png ends like a file of a kind that this command does not write"),
        ("fix a.png -o a.png/OUT", "a.png is a file, so nothing can be written into it"),
        ("fix a.png -o OUT --save-crops a.png", "a.png is a file, so nothing can be written into it"),
        ("fix a.png -o OUT --report a.png/a.json", "a.png is a file, so nothing can be written into it"),
        ("fix a.png -o OUT --gallery a.png/a.html", "a.png is a file, so nothing can be written into it"),
        ("fix a.png -o OUT --save-faces a.png/a.json", "a.png is a file, so nothing can be written into it"),
        ("people a.png -o a.png/OUT", "a.png is a file, so nothing can be written into it"),
        ("evaluate CLIPS -o a.png/OUT", "a.png is a file, so nothing can be written into it"),
    ],
)
def test_mistakes_are_answered_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, answer: str
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png")
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "CLIPS").mkdir()
    (tmp_path / "CLIPS" / "clip.mp4").touch()
    assert main(typed.split()) in (1, 2)
    assert answer in capsys.readouterr().err
    assert files(tmp_path) == ["CLIPS/clip.mp4", "a.png", "clip.mp4"]


def test_w_is_the_fidelity_as_in_the_official_program(tmp_path: Path, with_faces: list[str], data: Path) -> None:
    photo = str(data / "photos" / "astronaut_1face.png")
    for name, option in (("a.png", ["-w", "1"]), ("b.png", ["--fidelity", "1"]), ("c.png", [])):
        assert main(["fix", photo, "-o", str(tmp_path / name), *option, *with_faces]) == 0
    first, second, default = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == second != default


def test_wildcards_that_no_shell_has_expanded_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_faces: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.jpg", "[1].png"):
        draw(tmp_path / "in" / name)
    assert main(["fix", "in/?.png", "in/[1].png", "-o", "out", *without_faces]) == 0
    assert files(tmp_path / "out") == ["[1].png", "a.png", "b.png"]  # a file of the very name comes first


def test_results_may_go_to_the_parent_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_faces: list[str]) -> None:
    draw(tmp_path / "scans" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert main(["fix", "scans", "-o", ".", *without_faces]) == 0
    assert files(tmp_path) == ["a.png", "scans/a.png"]


def test_quiet_says_nothing_but_errors(tmp_path: Path, data: Path, tiny_checkpoint: Path) -> None:
    """A file, then the starter, in processes of their own: what libraries print beside Python's streams counts too."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "photo.png").write_bytes((data / "photos" / "astronaut_1face.png").read_bytes())
    (source / "raw.cr2").touch()
    argv = [sys.executable, "-m", "codeformer_core", "fix", str(source), "-o", str(tmp_path / "out"), "-q", "--overwrite"]
    argv += ["--report", str(tmp_path / "report.json"), "--gallery"]
    detector = ROOT.parent / "shared" / "data" / "detectors" / "face_detection_yunet_2026may.onnx"
    argv += ["--detector", str(detector) if detector.exists() else "mtcnn"]
    done = subprocess.run([*argv, "--model", str(tiny_checkpoint)], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (source / "broken.png").write_text("<html>")
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1 and "broken.png" in done.stderr
