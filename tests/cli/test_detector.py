"""Which detector a command takes: the one that is named, else the best one on disk, else the one that pip brings."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops

from codeformer_core.cli import main
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.networks import find_detector
from codeformer_core.networks.retinaface import RetinaFace

ROOT = Path(__file__).resolve().parents[2]
BETTER = "`codeformer models fetch retinaface-resnet50`"


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RetinaFace that finds no face."""
    path = tmp_path_factory.mktemp("blind") / "detector.pth"
    torch.save({name: torch.zeros_like(value) for name, value in RetinaFace(resnet=False).state_dict().items()}, path)
    return path


@pytest.fixture
def fix(tmp_path: Path, data: Path, tiny_checkpoint: Path):
    """Fixes the portrait with these options and files in the folder for weights; whether its face was changed."""

    def run(*options: str, **weights: Path) -> bool:
        photo, place = data / "photos" / "astronaut_1face.png", tmp_path / "weights"
        place.mkdir(exist_ok=True)
        for name, source in weights.items():
            shutil.copy(source, place / f"{name}.pth")
        argv = ["fix", str(photo), "-o", str(tmp_path / "out.png"), "--overwrite", "--weights", str(place), "--device", "cpu"]
        assert main([*argv, "--always", "--model", str(tiny_checkpoint), *options]) == 0
        before, after = (Image.open(path).convert("RGB") for path in (photo, tmp_path / "out.png"))
        return ImageChops.difference(before, after).getbbox() is not None

    return run


def test_without_any_file_the_one_that_pip_brings_finds_the_faces(fix, capsys):
    assert fix()
    said = capsys.readouterr().err
    assert said.count("Detector: mtcnn.") == 1 and BETTER in said


def test_a_file_on_disk_comes_before_it(fix, capsys, blind):
    assert not fix("--detection-side", "64", **{"detection_mobilenet0.25_Final": blind})
    said = capsys.readouterr().err
    assert "Detector: retinaface-mobile0.25." in said and BETTER in said


def test_of_the_best_one_nothing_is_said(fix, capsys, blind):
    files = {"detection_mobilenet0.25_Final": blind, "detection_Resnet50_Final": blind}
    assert not fix("--detection-side", "64", **files)
    assert "Detector:" not in capsys.readouterr().err


def test_the_one_that_is_named_is_taken(fix, capsys, blind):
    assert fix("--detector", "mtcnn", **{"detection_Resnet50_Final": blind})
    assert "Detector:" not in capsys.readouterr().err


def test_a_quiet_command_does_not_mention_it(fix, capsys):
    assert fix("--quiet")
    assert capsys.readouterr().err == ""


def test_a_command_that_may_download_takes_the_best_one():
    assert find_detector(Arguments(download=True)) == "retinaface-resnet50"


def test_it_is_listed_and_fetching_it_says_where_it_is(capsys):
    assert main(["models", "list"]) == 0
    assert "mtcnn  (detector)" in capsys.readouterr().out
    assert main(["models", "fetch", "mtcnn"]) == 0
    assert "facenet_pytorch" in capsys.readouterr().out
    assert main(["models", "verify", "mtcnn"]) == 0
