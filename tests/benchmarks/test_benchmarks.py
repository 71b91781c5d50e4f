"""`python -m benchmarks` reports its results even when it is stopped. No test depends on times."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from children import child

from benchmarks import scenes, synthetic_weights
from benchmarks.__main__ import main
from benchmarks.cases import FULL, MEASUREMENTS, QUICK, cases
from benchmarks.ours import PREPARE
from codeformer_core import checkpoints
from codeformer_core.networks.precision import PRECISIONS
from codeformer_core.options import DetectionOptions

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--tiny", "--device", "cpu", "--rounds", "2", "--seconds", "0", "--sizes", "160x120", "--quiet"]


def test_a_tiny_run_ends_with_a_table_and_numbers(tmp_path, capfd):
    file = tmp_path / "numbers.json"
    steps = "align,encode,predict,decode,paste"
    assert (
        main([*TINY, "--precisions", "exact", "--faces", "1,2", "--batches", "2", "--steps", steps, "--json", str(file)]) == 0
    )
    shown = capfd.readouterr().out.splitlines()
    head = next(line for line in shown if line.startswith("step"))
    assert " ".join(head.split()) == "step device precision picture faces batch median least - most memory"
    numbers = json.loads(file.read_text())
    assert numbers["versions"]["torch"] == torch.__version__ and numbers["machine"]["cores"] and numbers["allocator"]
    rows = numbers["rows"]
    assert [row["step"] for row in rows] == ["align", "align", "encode", "predict", "decode", "paste", "paste"]
    assert [row["step"] for row in rows] == [line.split()[0] for line in shown[shown.index(head) + 1 :]]
    for row in rows:
        assert row.keys() == {"step", "device", "precision", "size", "faces", "batch", "frames", "ours", "official", "ratio"}
        assert row["official"] is None and row["ratio"] is None
        assert 0 < row["ours"]["least"] <= row["ours"]["median"] <= row["ours"]["most"] and row["ours"]["rounds"] == 2
    assert [row["faces"] for row in rows] == [1, 2, None, None, None, 1, 2] and rows[2]["batch"] == 2
    assert rows[0]["size"] == [160, 120] and rows[2]["precision"] == "exact"
    assert any(row["ours"]["peak"] for row in rows) or not Path("/proc/self/clear_refs").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--reference", "."], "is no checkout of the official CodeFormer: it has no facelib/utils/face_restoration_helper.py"),
        (["--reference", "nowhere"], "nowhere does not exist"),
        (["--steps", "dream"], "'dream' is none of python, import torch,"),
        (["--sizes", "1920"], "found '1920', expected a size such as 1920x1080"),
        (["--sizes", "32x1080"], "found 32x1080, expected sides of 64 pixels or more"),
        (["--rounds", "0"], "found '0', expected a whole number from 1 on"),
        (["--faces", "1,many"], "found 'many', expected a whole number from 1 on"),
        (["--seconds", "-1"], "found '-1', expected a number from 0 to 1e6"),
        (["--device", "abacus"], "the device abacus cannot be used"),
        (["--json", "numbers.txt"], "numbers.txt does not end in .json"),
        (["--json", "old.json"], "old.json exists already"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_are_refused_before_measuring(tmp_path, monkeypatch, capsys, options, says):
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text("{}")
    assert main(["--tiny", *options]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_results_are_shown_after_ctrl_c(tmp_path):
    """Stopped when the first case is done: its weights are there, and those of the next measurement are not."""
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        *TINY[:-1],
        "--steps",
        "align,restore",
        "--precisions",
        "exact",
        "--faces",
        "1",
        "--rounds",
        "9",
    ]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    endless = [*command, "--seconds", "999", "--batches", ",".join(["1"] * 999)]
    with child(endless, env=environment, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            if list(tmp_path.glob("codeformer-bench-*/codeformer.pth")):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        shown = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert [line.split()[0] for line in shown.splitlines() if line.startswith(("align", "restore"))][:1] == ["align"]
    assert not list(tmp_path.glob("codeformer-bench-*"))


def test_everything_can_be_measured():
    assert set(PREPARE) == set(MEASUREMENTS)
    measured = list(cases(FULL, ["cpu", "cuda"]))
    assert {case.name for case in measured} == set(MEASUREMENTS) and len(set(measured)) == len(measured)
    assert {case.faces for case in measured} == {None, 1, 4, 10, 20} and {case.batch for case in measured} == {None, 1, 2, 4, 8}
    assert {case.precision for case in measured} == {None, *PRECISIONS}
    assert len(list(cases(QUICK, ["cpu"]))) < 25


@pytest.mark.parametrize("size", [(1920, 1080), (400, 300)])
@pytest.mark.parametrize("faces", [1, 20])
def test_faces_lie_inside_the_image(size, faces):
    scene = scenes.scene(size, faces)
    assert scene.image.shape == (1, 3, *size[::-1]) and len(scene.faces) == faces
    assert torch.equal((scene.image * 255).round() / 255, scene.image)  # so that 8 bits hold it
    for face in scene.faces:
        assert all(0 <= x < size[0] and 0 <= y < size[1] for x, y in face.landmarks)
    assert torch.equal(scene.image, scenes.scene(size, faces).image)


def test_synthetic_weights_have_the_released_layout(data):
    released = json.loads((data / "parity" / "keys_restoration.json").read_text())["keys"]
    layout = synthetic_weights.layout(synthetic_weights.RESTORER)
    assert {name: list(value.shape) for name, value in layout.items()} == {name: list(shape) for name, shape, _ in released}


def test_a_synthetic_detector_detects_nothing(tmp_path):
    detector = checkpoints.load(synthetic_weights.file(tmp_path, synthetic_weights.DETECTOR))
    assert detector.detect(scenes.image((160, 120)), DetectionOptions(side=96)) == []


def test_synthetic_weights_load_and_are_reproducible(tmp_path):
    path = synthetic_weights.file(tmp_path, synthetic_weights.RESTORER, tiny=True)
    network = checkpoints.load(path)
    assert network.restore(torch.zeros(1, 3, network.side, network.side)).isfinite().all()
    before = path.read_bytes()
    path.unlink()
    assert synthetic_weights.file(tmp_path, synthetic_weights.RESTORER, tiny=True).read_bytes() == before
