"""`codeformer video` goes on where it was stopped: killed by a signal that cannot be handled, or by a full disk."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from children import child
from small_clips import write_clip

from codeformer_core.cli import main
from codeformer_core.detection.faces_json import to_json
from codeformer_core.faces import Face
from codeformer_core.video import film_parts

FRAMES, SHORT = 24, {"LONGEST": 5, "SHORTEST": 2}


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SHORT.items():
        monkeypatch.setattr(film_parts, name, value)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4", "libx264", numbers=[0.1 * step for step in range(FRAMES)])


@pytest.fixture
def options(tmp_path: Path, tiny_checkpoint: Path) -> list[str]:
    """A face that moves through all frames, from a file."""
    eyes, rest = ((20.0, 20.0), (40.0, 20.0)), ((30.0, 30.0), (22.0, 40.0), (38.0, 40.0))
    face = Face(0, (12.0, 8.0, 48.0, 52.0), (*eyes, *rest), 0.9)
    faces = [face.mapped(lambda x, y, step=step: (x + step, y))._replace(image_index=step) for step in range(FRAMES)]
    (tmp_path / "faces.json").write_text(to_json(faces, (64, 96)))
    return ["--model", str(tiny_checkpoint), "--always", "--device", "cpu", "--faces-from", str(tmp_path / "faces.json")]


def made(source: Path, out: Path, options: list[str]) -> bytes:
    assert main(["video", str(source), "-o", str(out), *options, "-q"]) == 0
    assert not parts(out.parent)
    return out.read_bytes()


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(".codeformer-*.parts/[0-9]*.part"))


def program(argv: list[str]) -> list[str]:
    code = f"""
import sys
from codeformer_core.video import film_parts
vars(film_parts).update({SHORT})
from codeformer_core.cli import main
sys.exit(main({argv}))
"""
    return [sys.executable, "-c", code]


def killed(source: Path, out: Path, options: list[str], count: int = 2) -> list[Path]:
    """Kill a run with SIGKILL when it has so many parts; returns these."""
    with child(program(["video", str(source), "-o", str(out), *options])) as process:
        deadline = time.monotonic() + 120
        while len(parts(out.parent)) < count and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        said = process.communicate()
    assert process.returncode == -getattr(signal, "SIGKILL", 1), said
    return parts(out.parent)


def stopped(source: Path, out: Path, options: list[str]) -> list[Path]:
    """End a run as Ctrl-C does, after half of its frames; returns its parts."""
    add = film_parts.PartLog.add

    def interrupt(log: film_parts.PartLog, *more: Any) -> None:
        add(log, *more)
        if log.number + log.frames == FRAMES // 2:
            time.sleep(0.5)  # while the parts before are encoded
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film_parts.PartLog, "add", interrupt)
        assert main(["video", str(source), "-o", str(out), *options, "-q"]) == 130
    return parts(out.parent)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_it_goes_on_with_what_was_finished(source, options, tmp_path, capsys):
    expected = made(source, tmp_path / "whole.mp4", options)
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "out.mp4"
    finished = {part: part.stat().st_mtime_ns for part in killed(source, out, [*options, "--chunk", "2"])}
    assert not out.exists() and len(finished) >= 2
    killed(source, out, options, len(finished) + 1)
    assert {part: part.stat().st_mtime_ns for part in finished} == finished
    assert main(["video", str(source), "-o", str(out), *options, "--report", str(tmp_path / "report.json")]) == 0
    assert f"{FRAMES} frames, faces in {FRAMES} of them: 1 found and restored" in capsys.readouterr().out
    assert out.read_bytes() == expected and [path.name for path in out.parent.iterdir()] == ["out.mp4"]


def test_the_slower_of_two_runs_says_that_the_other_has_made_the_film(source, options, tmp_path, capsys):
    out, add = tmp_path / "out.mp4", film_parts.PartLog.add
    argv = ["video", str(source), "-o", str(out), *options]
    with pytest.MonkeyPatch.context() as patch:

        def overtaken(log: film_parts.PartLog, *more: Any) -> None:
            add(log, *more)
            if log.number + log.frames == FRAMES // 2:
                patch.undo()
                assert main(argv) == 0

        patch.setattr(film_parts.PartLog, "add", overtaken)
        assert main(argv) == 1
    assert "was made by another run in the meantime" in capsys.readouterr().err
    assert out.read_bytes() == made(source, tmp_path / "alone.mp4", options)


@pytest.mark.parametrize("changed", ["options", "input", "weights", "faces", "codec"])
def test_parts_of_something_else_are_never_used(source, options, tmp_path, tiny_checkpoint, changed):
    out = tmp_path / "out.mp4"
    model = tmp_path / "model.pth"
    model.write_bytes(tiny_checkpoint.read_bytes())
    options = ["--model", str(model), *options[2:]]
    old = stopped(source, out, options)
    if changed == "options":
        options += ["--blend", "0.5"]
    elif changed == "codec":
        options += ["--codec", "av1"]
    elif changed == "input":
        write_clip(source, "libx264", numbers=[0.1 * step + 3 for step in range(FRAMES)])
    elif changed == "weights":
        state = torch.load(model, weights_only=True)["params_ema"]
        torch.save({"params_ema": {name: value * 1.01 for name, value in state.items()}}, model)
    else:
        faces = tmp_path / "faces.json"
        faces.write_text(faces.read_text().replace("12.0, 8.0", "12.5, 8.0"))
    with_old = made(source, out, options)
    assert old and with_old == made(source, tmp_path / "fresh.mp4", options)


def test_what_does_not_change_the_result_may_change(source, options, tmp_path, monkeypatch):
    """Memory options, after running out of it, and another place of the input."""
    expected = made(source, tmp_path / "whole.mp4", options)
    old = stopped(source, tmp_path / "out.mp4", options)
    moved = source.rename(tmp_path / "moved.mp4")
    os.utime(moved, (1, 1))
    asked = []
    monkeypatch.setattr(
        film_parts.PartLog, "add", lambda self, *more, add=film_parts.PartLog.add: (asked.append(1), add(self, *more))
    )
    assert made(moved, tmp_path / "out.mp4", [*options, "--chunk", "3", "--batch", "2"]) == expected
    assert len(asked) <= FRAMES - 5 * len(old)


def test_with_overwrite_it_goes_on_too_and_then_begins_anew(source, options, tmp_path):
    out = tmp_path / "out.mp4"
    expected = made(source, out, options)
    out.write_bytes(b"older")
    assert stopped(source, out, [*options, "--overwrite"])
    assert out.read_bytes() == b"older"
    assert made(source, out, [*options, "--overwrite"]) == expected


def test_with_no_resume_there_are_no_parts(source, options, tmp_path):
    options += ["--no-resume"]
    (tmp_path / "out").mkdir()
    seen = []

    def mkdir(path: Path, *more: Any, made: Callable = Path.mkdir, **how: Any) -> None:
        seen.append(path.name)
        made(path, *more, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "mkdir", mkdir)
        made(source, tmp_path / "out" / "out.mp4", options)
    assert seen == ["out"]


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 128 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = sys.platform == "linux" and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(folder)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs Linux and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_what_is_finished(source, options, tmp_path, small_disk, capsys):
    options = [*options, "--crf", "0"]
    expected = made(source, tmp_path / "whole.mp4", options)
    assert 30_000 < len(expected) < 120_000
    out = small_disk / "out.mp4"
    rest = small_disk / "rest"
    rest.write_bytes(bytes(int(128 * 1024 - 0.4 * len(expected)) // 4096 * 4096))
    argv = ["video", str(source), "-o", str(out), *options]
    for ends in ("in a part", "at the join"):
        assert main(argv) == 1
        said = capsys.readouterr().err
        assert "No space left on device. Free disk space, or choose another disk; what is finished is kept" in said, ends
        assert not out.exists() and parts(small_disk) and len(list(small_disk.iterdir())) == 2
        if ends == "in a part":
            assert len(parts(small_disk)) < 5
            rest.write_bytes(bytes(max(0, int(128 * 1024 - 1.5 * len(expected)) // 4096 * 4096)))
    assert len(parts(small_disk)) == 5
    rest.unlink()
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    assert main(argv) == 0 and out.read_bytes() == expected and [path.name for path in small_disk.iterdir()] == ["out.mp4"]
