"""The starter model: it comes with the project, and is used until the published one is here."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import claims
from codeformer_core import checkpoints
from codeformer_core.cli import main
from codeformer_core.training.dataset import split

ROOT = Path(__file__).resolve().parent.parent
NOTICE = (
    "Starter model, small and limited: it draws 128 x 128 pixels a face and leaves larger, sharp ones as they are. "
    "`codeformer models fetch codeformer` for full quality."
)


@pytest.fixture
def nothing_else_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has fetched nothing."""
    monkeypatch.delenv("CODEFORMER_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))


def restored(folder: Path, *options: str) -> int:
    return main(["fix", str(ROOT / "docs" / "small-face.jpg"), "--aligned", "-o", str(folder), "--device", "cpu", *options])


def test_it_is_the_file_that_the_catalogue_describes():
    known = checkpoints.lookup("starter")
    path = checkpoints.find("starter")
    assert known and path == ROOT / "weights" / known.file
    checkpoints.verify(path, known)
    assert path.stat().st_size < 20e6
    network = checkpoints.load(path)
    assert (network.role, network.task, network.side) == ("restorer", "restoration", 128)


@pytest.mark.usefixtures("nothing_else_here")
def test_the_first_command_fixes_a_whole_photo_with_what_comes_along(tmp_path, capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    words = re.search(r"\.venv/bin/codeformer (fix .*) -o out (.*)", readme)
    argv = [*words[1].split(), "-o", str(tmp_path / "out"), *words[2].split(), "--device", "cpu"]
    argv[1] = str(ROOT / argv[1])
    assert main(argv) == 0
    said = capsys.readouterr()
    assert (said.out + said.err).count(NOTICE) == 1 and "Faces: 7 found, 7 restored" in said.out + said.err
    before, after = Image.open(argv[1]), Image.open(tmp_path / "out" / "crew.jpg")
    assert after.size == (2 * before.width, 2 * before.height) and (tmp_path / "out" / "crew_compare.jpg").exists()


@pytest.mark.usefixtures("nothing_else_here")
def test_an_aligned_face_is_restored_with_the_starter_model(tmp_path, capsys):
    assert restored(tmp_path / "out") == 0
    said = capsys.readouterr()
    assert (said.out + said.err).count(NOTICE) == 1
    (written,) = (tmp_path / "out").iterdir()
    assert Image.open(written).size == (128, 128)


@pytest.mark.usefixtures("nothing_else_here")
def test_whoever_asks_for_another_network_gets_no_other(tmp_path, capsys):
    assert restored(tmp_path / "out", "--model", "codeformer") == 1
    said = capsys.readouterr()
    assert "codeformer.pth is not found" in said.err and NOTICE not in said.out + said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("nothing_else_here")
def test_the_published_file_comes_first_where_it_is_here(tmp_path, capsys, tiny_checkpoint):
    assert restored(tmp_path / "out", "--weights", str(tiny_checkpoint.parent)) == 0
    said = capsys.readouterr()
    assert NOTICE not in said.out + said.err
    assert np.asarray(Image.open(next((tmp_path / "out").iterdir()))).shape == (64, 64, 3)


def test_held_out_faces_become_better_than_by_enlarging(shared):
    network = checkpoints.load(ROOT / "weights" / "codeformer_starter.safetensors")
    faces = claims.EvaluationFaces(split(shared / "data" / "faces", 10)[1][:24], network.side, claims.DEGRADED["severe"])
    with torch.inference_mode():
        for weight in (0.5, 1.0):
            drawn = network.restore(faces.linear, weight)
            for score in (claims.psnr, claims.ssim, claims.crispness):
                mean = score(drawn, faces.clear).mean()
                assert all(mean > score(given, faces.clear).mean() for given in (faces.linear, faces.cubic)), score
