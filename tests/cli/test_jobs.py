"""Jobs that can be repeated: what is done is not done again, and whatever ends a run, the same command finishes the rest."""

import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import child, default_handlers
from drawn import draw, files
from known_faces import KnownFaces

from codeformer_core import checkpoints, image_io
from codeformer_core.cli import main

ROOT = Path(__file__).resolve().parents[2]

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has neither SIGHUP nor a SIGTERM that can be handled")


def test_an_existing_result_is_done_before_and_redone_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], without_faces: list[str]
) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / "in" / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_text("precious")
    argv = ["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces]
    assert main(argv) == 0
    assert (tmp_path / "out" / "a.png").read_text() == "precious"
    assert "Images: 1 of 2 done, 0 failed, 1 done before (--overwrite does them again)." in capsys.readouterr().out
    assert main([*argv, "--overwrite"]) == 0
    assert (tmp_path / "out" / "a.png").read_bytes() == (tmp_path / "in" / "a.png").read_bytes()


def test_a_job_that_is_done_needs_no_network_files(tmp_path: Path, without_faces: list[str]) -> None:
    argv = ["fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out")]
    assert main([*argv, "--model", "absent.pth"]) == 1
    assert main([*argv, *without_faces]) == 0
    assert main([*argv, "--model", "absent.pth"]) == 0


def test_a_result_in_the_format_that_the_image_needs_is_done_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], without_faces: list[str]
) -> None:
    draw(tmp_path / "in" / "a.jpg", "RGBA")  # a PNG in truth, and becomes one
    argv = ["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces]
    assert main(argv) == main(argv) == 0
    assert files(tmp_path / "out") == ["a.png"]
    assert "0 of 1 done, 0 failed, 1 done before" in capsys.readouterr().out


def test_faces_that_were_cut_out_are_done_before_and_missing_ones_are_written(
    tmp_path: Path, data: Path, blind: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoints, "load", lambda path, **_: KnownFaces())
    photo = data / "photos" / "nasa_sts114_crew_7faces.jpg"
    argv = ["crop", str(photo), "-o", str(tmp_path), "--side", "64", "--detector", str(blind)]
    assert main(argv) == 0
    crops = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    assert len(crops) == 7 and main(argv) == 0
    assert "0 of 1 done, 0 failed, 1 done before" in capsys.readouterr().out
    (tmp_path / sorted(crops)[3]).unlink()
    assert main(argv) == 0
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == crops


def test_what_an_interrupted_image_left_beside_its_result_is_no_obstacle(
    tmp_path: Path, with_faces: list[str], data: Path
) -> None:
    argv = ["fix", str(data / "photos" / "astronaut_1face.png"), "-o", str(tmp_path / "out"), *with_faces]
    argv += ["--save-crops", str(tmp_path / "crops"), "--save-faces", str(tmp_path / "faces.json")]
    assert main(argv) == 0
    (tmp_path / "out" / "astronaut_1face.png").unlink()  # as a kill between the crops and the result would have it
    assert main(argv) == 0
    assert files(tmp_path / "out") == ["astronaut_1face.png"]


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_leaves_complete_files_and_the_same_command_finishes_the_rest(
    tmp_path: Path, without_faces: list[str], number: signal.Signals
) -> None:
    for index in range(24):
        draw(tmp_path / "in" / f"{index:03}.png")
    out = tmp_path / "out"
    argv = [sys.executable, "-m", "codeformer_core", "fix", str(tmp_path / "in"), "-o", str(out), *without_faces]
    argv += ["--format", "tiff", "--device", "cpu"]
    slow = ["--detection-side", "512"]
    with child([*argv, *slow]) as process:
        _wait_for_result(out)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    written = files(out)
    assert 0 < len(written) < 24
    assert all(image_io.read(out / name).image.shape[-2:] == (30, 40) for name in written)
    done, stopped, left = re.findall(r"(\d+) of 24 done, 0 failed(?:, (\d+) stopped)?, (\d+) not begun", said)[0]
    assert int(done) + int(stopped or 0) + int(left) == 24
    assert len(written) == int(done)  # those at work when the signal came are waited for
    assert main(argv[3:]) == 0
    assert len(files(out)) == 24


@POSIX
def test_a_terminal_that_is_closed_ends_a_run_cleanly(tmp_path: Path, without_faces: list[str]) -> None:
    for index in range(24):
        draw(tmp_path / "in" / f"{index:03}.png")
    out = tmp_path / "out"
    argv = [sys.executable, "-m", "codeformer_core", "fix", str(tmp_path / "in"), "-o", str(out), *without_faces]
    import pty

    terminal, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with child([*argv, "--detection-side", "512"], **streams, start_new_session=True, preexec_fn=_own_terminal) as process:
        os.close(theirs)
        _wait_for_result(out)
        os.close(terminal)
        assert process.wait(timeout=60) == 128 + signal.SIGHUP
    assert 0 < len(files(out)) < 24 and not list(out.glob(".*"))


def _own_terminal() -> None:
    import fcntl
    import termios

    default_handlers()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that its end is told by SIGHUP


def _wait_for_result(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not list(folder.glob("[0-9]*")) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_files_of_a_killed_run_are_removed_by_the_next_one(tmp_path: Path, without_faces: list[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    host = platform.node().replace("-", "_").replace(".", "_")
    part = tmp_path / "out" / f".codeformer-{host}-{dead.pid}-0123456789abcdef.part"
    part.parent.mkdir()
    part.write_bytes(b"half")
    assert main(["fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out"), *without_faces]) == 0
    assert files(tmp_path / "out") == ["a.png"]
