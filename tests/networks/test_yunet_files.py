"""YuNet's files: damaged ones, on which OpenCV ends the process, never reach it in this process."""

import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from codeformer_core import checkpoints
from codeformer_core.networks import yunet
from codeformer_core.networks.yunet import PUBLISHED, YuNet

OFFICIAL = "face_detection_yunet_2026may.onnx"


@pytest.fixture
def official(shared: Path) -> bytes:
    return (shared / "data" / "detectors" / OFFICIAL).read_bytes()


@pytest.fixture(autouse=True)
def nothing_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yunet, "_TRIED", dict.fromkeys(PUBLISHED, ""))


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def damaged(data: bytes, seed: int) -> bytes:
    """A file with some bytes of its graph changed; its weights lie in the middle."""
    chance, result = random.Random(seed), bytearray(data)
    for _ in range(3):
        result[chance.choice((chance.randrange(3000), len(data) - 1 - chance.randrange(6000)))] = chance.randrange(256)
    return bytes(result)


def test_the_manifest_and_the_reader_know_the_same_files():
    model = checkpoints.lookup("yunet")
    assert PUBLISHED[str(model.sha256)] == model.file
    assert set(PUBLISHED.values()) == {model.file, *model.stand_ins}


def test_a_published_file_is_recognised_by_its_hash_under_any_name(official, tmp_path, monkeypatch):
    monkeypatch.setattr(yunet, "_trial", lambda path: pytest.fail("a known file needs no trial"))
    assert YuNet(put(tmp_path / "mine.onnx", official)).role == "detector"


@pytest.mark.parametrize("name", PUBLISHED.values())
def test_a_damaged_published_file_never_reaches_opencv(official, tmp_path, monkeypatch, name):
    monkeypatch.setattr(yunet, "create", lambda *_: pytest.fail("OpenCV saw it"))
    monkeypatch.setattr(yunet, "_trial", lambda path: pytest.fail("OpenCV saw it"))
    with pytest.raises(ValueError, match=rf"{name} is not a YuNet .*it is damaged: its SHA-256 is .*models fetch yunet"):
        checkpoints.load(put(tmp_path / name, damaged(official, 1)))


def test_a_file_that_ends_the_process_is_refused_and_the_process_lives(shared):
    """The file of the fault campaign, in a child whose end would be seen."""
    path = shared / "data" / "cases" / "model_files" / "yf2.onnx"
    code = f"from codeformer_core.checkpoints import load\ntry:\n    load({str(path)!r})\nexcept ValueError as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0 and "yf2.onnx is not a YuNet" in done.stdout and "so it is damaged" in done.stdout


def test_an_unknown_file_that_works_is_tried_once_and_used(official, tmp_path, monkeypatch):
    description = b"\x32\x04mine"  # another doc_string: the same network in another file
    path = put(tmp_path / "mine.onnx", official + description)
    assert YuNet(path).role == "detector"
    monkeypatch.setattr(yunet, "_trial", lambda path: pytest.fail("it was tried before"))
    YuNet(path)


@pytest.mark.parametrize("seed", [2, 3])
def test_changed_bytes_are_refused_or_do_no_harm(official, tmp_path, seed):
    path = put(tmp_path / "mine.onnx", damaged(official, seed))
    code = "import numpy, torch\nfrom codeformer_core.networks.yunet import YuNet\n"
    code += f"try:\n    YuNet({str(path)!r}).detect(torch.rand(1, 3, 90, 70))\nexcept ValueError as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr


def test_weights_that_are_not_finite_are_refused(official, tmp_path):
    middle = len(official) // 2
    said = []
    for shift in range(4):  # the weights begin at one of four positions
        nan = struct.pack("<f", float("nan")) * 8
        try:
            YuNet(put(tmp_path / f"{shift}.onnx", official[: middle + shift] + nan + official[middle + shift + len(nan) :]))
        except ValueError as error:
            said.append(str(error))
    assert said and all("it gives values that are not finite" in text for text in said)
