"""OpenVINO computes what PyTorch does, for every kind of fidelity and for threads, and tells nobody."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from codeformer_core import checkpoints, image_io, load
from codeformer_core.align import align
from codeformer_core.cli.arguments import ENGINES
from codeformer_core.detection.faces_json import from_json
from codeformer_core.networks import openvino_engine
from codeformer_core.networks.openvino_engine import by_openvino

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]


def decibels(a, b):
    """The peak signal-to-noise ratio of images in [0, 1]."""
    return -10 * (a - b).square().mean().log10()


@pytest.fixture(scope="module", autouse=True)
def openvino():
    pytest.importorskip("openvino", reason="needs the package openvino, the extra of that name")


@pytest.fixture(scope="module")
def crops():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def pair(tiny_checkpoint):
    """The same network, computed by PyTorch and by OpenVINO."""
    return checkpoints.load(tiny_checkpoint), by_openvino(checkpoints.load(tiny_checkpoint), "exact", CPU)


@pytest.mark.parametrize(
    ("fidelity", "match_style"),
    [
        (0.5, True),
        (0.0, True),
        (1.0, False),
        (torch.tensor([0.2, 0.9]), True),
        (torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(2)), True),
    ],
    ids=["number", "none", "without style", "by face", "map"],
)
def test_faces_are_those_of_pytorch(pair, crops, fidelity, match_style):
    by_torch, other = pair
    assert torch.allclose(
        other.restore(crops, fidelity, match_style), by_torch.restore(crops, fidelity, match_style), atol=1e-5
    )
    assert torch.equal(*(one.encode_faces(crops, fidelity).logits.argmax(2) for one in pair))


def test_all_else_of_a_network_goes_by_the_engine_too(pair, crops):
    by_torch, other = pair
    assert torch.allclose(other.sweep(crops, [0.0, 1.0]), by_torch.sweep(crops, [0.0, 1.0]), atol=1e-5)
    assert torch.allclose(other.certainty(crops), by_torch.certainty(crops), atol=1e-5)
    assert other.encode_faces(crops, 0.0).kept == {}


@pytest.mark.parametrize("precision", ["balanced", "fast"])
def test_each_half_is_compiled_for_its_dtype(smallest_checkpoint, crops, precision, monkeypatch):
    asked, crops = [], crops[:1, :, :32, :32]
    openvino = openvino_engine.import_openvino()
    compile_model = openvino.compile_model
    monkeypatch.setattr(openvino, "compile_model", lambda *args: asked.append(args[2]) or compile_model(*args))
    restored = by_openvino(checkpoints.load(smallest_checkpoint), precision, CPU).restore(crops, 0.5)
    hints = ["f32" if precision == "balanced" else "bf16", "bf16"]
    assert [how["INFERENCE_PRECISION_HINT"] for how in asked] == hints
    assert decibels(restored, checkpoints.load(smallest_checkpoint).restore(crops, 0.5)) > (
        45 if precision == "balanced" else 20
    )


def test_a_real_face_has_the_same_codes(data):
    """With the generator in bfloat16 where the processor has that."""
    faces, _ = from_json((data / "faces" / "astronaut_1face.json").read_bytes())
    face = align(image_io.read(data / "photos" / "astronaut_1face.png").image, faces, side=128).crops
    by_torch, other = load("starter", precision="exact"), load("starter", precision="balanced", engine="openvino")
    assert torch.equal(*(one.encode_faces(face).logits.argmax(2) for one in (by_torch, other)))
    assert decibels(other.restore(face), by_torch.restore(face)) > 45


def test_threads_have_a_stream_each_and_the_same_result(smallest_checkpoint, crops):
    network, before = by_openvino(checkpoints.load(smallest_checkpoint), "exact", CPU), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        faces = [crops[:1, :, :32, :32] * part for part in (0.2, 0.4, 0.6, 0.8)]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(network.restore, faces))
        assert all(torch.equal(one, network.restore(face)) for one, face in zip(together, faces, strict=True))
    finally:
        torch.set_num_threads(before)


def test_nothing_is_reported(smallest_checkpoint, tmp_path):
    """Else OpenVINO sends its use to Google Analytics, and keeps the number of this user for that in the home folder."""
    script = f"""if True:
        import sys, torch
        from codeformer_core import load

        load({str(smallest_checkpoint)!r}, engine="openvino").restore(torch.rand(1, 3, 32, 32))
        assert "openvino" in sys.modules and "openvino_telemetry" not in sys.modules
    """
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA")}
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | home
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_it_cannot_compute_is_refused(smallest_checkpoint, monkeypatch):
    with pytest.raises(
        ValueError, match="Found a MTCNN. The engine openvino computes nothing but a CodeFormer: leave the engine out"
    ):
        load("mtcnn", engine="openvino")
    with pytest.raises(ValueError, match="computes on the CPU, and the device is meta: use cpu, or leave the engine out"):
        load(smallest_checkpoint, device="meta", engine="openvino")
    with pytest.raises(ValueError, match="'onnx' is no engine. Use one of: torch, openvino"):
        load(smallest_checkpoint, engine="onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match="needs the package openvino: pip install openvino"):
        load(smallest_checkpoint, engine="openvino")


def test_the_command_line_has_the_same_engines():
    assert ENGINES == openvino_engine.ENGINES
