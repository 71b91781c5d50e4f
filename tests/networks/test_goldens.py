"""The script that records the golden outputs: our network gives the committed ones, and a difference is shown."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def script(data: Path):
    spec = importlib.util.spec_from_file_location("record_goldens", data / "record_goldens.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recorded(script):
    """The arrays of one fidelity and style, from this project's network."""
    return script.record(*script.our_network("inpainting"), "inpainting", fidelities=(1,), styles=(True,))


@pytest.fixture(scope="module")
def golden(script):
    with np.load(script.DATA / "parity" / "golden_inpainting.npz") as file:
        return dict(file)


def test_our_network_gives_the_committed_arrays(script, recorded, golden, capsys):
    assert set(recorded) <= set(golden) and len(recorded) == 14
    assert script.show(script.compare(recorded, golden)) == 0
    assert "DIFFERS" not in capsys.readouterr().out


def test_a_difference_is_shown_and_counted(script, recorded, golden, capsys):
    wrong = {name: value.copy() for name, value in recorded.items()}
    wrong["mask/w1/adain1/probe"][5] += 1e-3
    wrong["mask/codes"][int(golden["mask/margin"].argmax())] += 1
    wrong["mask/lq_feat"] = wrong["mask/lq_feat"][:, :8]
    assert script.show(script.compare(wrong, golden)) == 3
    differing = [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("DIFFERS")]
    assert differing == ["mask/w1/adain1/probe", "mask/codes", "mask/lq_feat"]


def test_a_run_of_the_pipeline_is_compared_with_the_recorded_one(script, data):
    folder, stem = data / "pipeline", "astronaut_1face"
    faces = json.loads((folder / f"{stem}.json").read_text())["faces"]
    crops, result = (cv2.imread(str(folder / f"{stem}_{name}.webp"))[..., ::-1].copy() for name in ("crop0", "inverted_x2"))
    crops = [crops]
    assert all(row.found == 0 for row in script.compare_pipeline(f"{stem}.png", 2, faces, crops, result))
    assert script.show(script.compare_pipeline(f"{stem}.png", 2, [], crops, result)) == 1
    result //= 2
    assert script.show(script.compare_pipeline(f"{stem}.png", 2, faces, crops, result)) == 1


def test_a_folder_that_is_no_checkout_is_refused(script, tmp_path):
    with pytest.raises(SystemExit, match="is no checkout of the official CodeFormer"):
        script.main(["--reference", str(tmp_path)])


def test_the_exit_status_says_whether_something_differs(script, recorded, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "our_network", lambda variant: (None, None))
    for factor, status in ((1, 0), (2, 1)):
        arrays = {**recorded, "mask/margin": recorded["mask/margin"] * factor}
        monkeypatch.setattr(script, "record", lambda *_, arrays=arrays: arrays)
        assert script.main(["--ours", "--variants", "inpainting", "--write", str(tmp_path)]) == status
    assert (tmp_path / "golden_inpainting.npz").exists()
