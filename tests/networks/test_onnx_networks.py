"""Restorers in ONNX files: read from the file, run in batches of any kind, tried before they are trusted."""

import copy
import hashlib
import pickle
import sys
from pathlib import Path

import pytest
import torch

from codeformer_core import checkpoints, load
from codeformer_core.align import template
from codeformer_core.cli import main
from codeformer_core.networks import onnx_networks
from codeformer_core.options import FixOptions
from codeformer_core.pipeline import fix_faces
from codeformer_core.runtime.batching import TOO_LARGE, run_in_batches
from codeformer_core.video.pipeline import fix_frames

pytest.importorskip("onnxruntime", reason="ONNX files need the package onnxruntime")
onnx = pytest.importorskip("onnx", reason="the tests build networks with the package onnx")
np = pytest.importorskip("numpy")
onnx_files = pytest.importorskip("onnx_files")


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def expected(crops: torch.Tensor, low: float = -1) -> torch.Tensor:
    """What the small restorer gives for crops in [0, 1], working on values from `low` to 1."""
    weights, bias = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (onnx_files.WEIGHTS, onnx_files.BIAS))
    result = (crops * (1 - low) + low) * weights + bias
    return ((result - low) / (1 - low)).clamp(0, 1)


@pytest.mark.parametrize("batch", [1, 2, 4, "N"])
@pytest.mark.parametrize("half", [False, True])
def test_a_restorer_runs_whatever_batch_and_type_its_file_has(tmp_path, crops, batch, half):
    network = checkpoints.load(onnx_files.restorer(tmp_path / "mine.onnx", batch=batch, half=half))
    assert (network.role, network.task, network.side) == ("restorer", "restoration", 64)
    for count in (1, 2, 3):
        assert torch.allclose(network.restore(crops[:count]), expected(crops[:count]), atol=2e-3 if half else 1e-6)


@pytest.mark.parametrize(
    ("name", "side", "found"),
    [("mine.onnx", 32, 32), ("GPEN-BFR-256.onnx", "H", 256), ("gpen_bfr_1024.onnx", "H", 1024), ("mine.onnx", "H", 512)],
)
def test_the_side_is_the_files_or_in_its_name_or_512(tmp_path, name, side, found):
    assert checkpoints.load(onnx_files.restorer(tmp_path / name, side)).side == found


def test_the_range_is_minus_one_to_one_unless_the_file_says_otherwise(tmp_path, crops):
    path = onnx_files.restorer(tmp_path / "mine.onnx", metadata={"value_range": "0,1"})
    assert torch.allclose(checkpoints.load(path).restore(crops), expected(crops, low=0), atol=1e-6)
    with pytest.raises(ValueError, match="has the value_range '0,255', expected one of -1,1 or 0,1: correct it"):
        checkpoints.load(onnx_files.restorer(tmp_path / "mine.onnx", metadata={"value_range": "0,255"}))


@pytest.mark.parametrize("side", [112, "S"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("low", [-1, 0])
def test_a_recogniser_sees_the_square_of_arcface(tmp_path, side, channels_last, low):
    metadata = {"value_range": f"{low},1"}
    path = onnx_files.recogniser(tmp_path / "w512.onnx", side, channels_last=channels_last, metadata=metadata)
    network, colours = checkpoints.load(path), torch.tensor([[0.9, 0.5, 0.2], [0.1, 0.3, 0.8]])
    points = torch.tensor([[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]])  # of 112 pixels
    crops = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))  # what is seen outside would tell
    crops[..., 31:222, 32:223] = colours[:, :, None, None]
    found = network.describe(crops)
    parts = (colours * (1 - low) + low).repeat_interleave(49, dim=1)  # every part has the colour of the square
    assert network.role == "recogniser" and found.shape == (2, 512)
    assert torch.allclose(found, parts @ torch.from_numpy(onnx_files.mixture()), atol=1e-4)
    x0, y0, x1, _ = onnx_networks.ARCFACE
    apart = (points + 0.5) * (x1 - x0) / 112 + torch.tensor([x0, y0]) - (template(512).float() + 0.5) / 512
    assert apart.abs().max() < 0.015 and apart.mean(dim=0).abs().max() < 0.001


def test_it_says_what_it_cannot_do(tmp_path, crops):
    network = checkpoints.load(onnx_files.restorer(tmp_path / "mine.onnx"))
    assert network.notice.startswith("mine.onnx is a restorer in ONNX format: it has no fidelity weight")
    with pytest.raises(ValueError, match="mine.onnx is a restorer in ONNX format without a fidelity weight.*codeformer.pth"):
        network.sweep(crops, [0, 1])
    with pytest.raises(ValueError, match="takes 64 x 64: align with side=64"):
        network.restore(crops[..., :32, :32])


def pad_and_cut(path: Path) -> Path:
    """A valid graph that ends the process: onnxruntime 1.32 does not expect fewer channels than none."""
    nodes = [
        onnx.helper.make_node("Pad", ["input", "pads"], ["padded"], mode="reflect"),
        onnx.helper.make_node("Slice", ["padded", "start", "end", "axis"], ["output"]),
    ]
    numbers = {"pads": [0, -4, 0, 0, 0, 0, 0, 0], "start": [0], "end": [4], "axis": [1]}
    return onnx_files.save(
        path,
        nodes,
        {"input": ([1, 3, 64, 64], 1)},
        {"output": (["a", "b", "c", "d"], 1)},
        {name: np.array(values) for name, values in numbers.items()},
    )


def one_node(path: Path, node: str, shape: list, result: list, kind: int = 1, constants: dict | None = None, **how) -> Path:
    """A graph of one node."""
    made = onnx.helper.make_node(node, ["input", *(constants or {})], ["output"], **how)
    return onnx_files.save(path, [made], {"input": (shape, kind)}, {"output": (result, kind)}, constants)


def in_two_files(path: Path) -> Path:
    onnx_files.restorer(path)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="mine.data", size_threshold=0, convert_attribute=True)
    return path


def cut(path: Path) -> Path:
    path.write_bytes(onnx_files.restorer(path).read_bytes()[:300])
    return path


def memory_bomb(path: Path) -> Path:
    """32 GB of zeros from a file of a few bytes."""
    nodes = [
        onnx.helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        onnx.helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0),
        onnx.helper.make_node("Add", ["input", "zero"], ["output"]),
    ]
    value = ([1, 3, 64, 64], 1)
    return onnx_files.save(path, nodes, {"input": value}, {"output": value}, {"size": np.array([2**33])})


def two_inputs(path: Path) -> Path:
    """As facefusion's codeformer.onnx, whose weight is an input."""
    values = {"input": ([1, 3, 64, 64], 1), "weight": ([1], 1)}
    node = onnx.helper.make_node("Mul", ["input", "weight"], ["output"])
    return onnx_files.save(path, [node], values, {"output": values["input"]})


IMAGE = [1, 3, 64, 64]

WRONG = {
    "no protobuf": (lambda path: path.write_bytes(b"\x89PNG" + bytes(99)) and path, "Protobuf parsing failed"),
    "cut": (cut, "Protobuf parsing failed"),
    "ends the process": (pad_and_cut, "onnxruntime crashes on it|onnxruntime refuses|must be"),
    "fills the memory": (memory_bomb, "Failed to allocate memory|crashes on it"),
    "two inputs": (two_inputs, r"it takes 2 inputs \(input, weight\)"),
    "unknown operation": (lambda path: one_node(path, "Restore", IMAGE, IMAGE), "Restore"),
    "another type": (lambda path: one_node(path, "Relu", IMAGE, IMAGE, 11), r"it takes tensor\(double\)"),
    "grey": (lambda path: one_node(path, "Relu", [1, 1, 64, 64], [1, 1, 64, 64]), r"input has the shape \(1, 1, 64, 64\)"),
    "oblong": (lambda path: one_node(path, "Relu", [1, 3, 64, 32], [1, 3, 64, 32]), r"input has the shape \(1, 3, 64, 32\)"),
    "numbers": (lambda path: one_node(path, "Relu", [1, 128], [1, 128]), r"input has the shape \(1, 128\)"),
    "vast": (lambda path: one_node(path, "Relu", [1, 3, 10**5, 10**5], IMAGE), r"input has the shape"),
    "shrinks": (
        lambda path: one_node(path, "AveragePool", IMAGE, [1, 3, 32, 32], kernel_shape=[2, 2], strides=[2, 2]),
        r"it turns \(1, 3, 64, 64\) into \(1, 3, 32, 32\)",
    ),
    "landmarks": (lambda path: one_node(path, "Reshape", IMAGE, [1, 212], constants={"n": np.array([1, -1])}), "it turns"),
    "classifies": (lambda path: one_node(path, "Flatten", IMAGE, [1, 12288]), r"it turns .* into \(1, 12288\)"),
    "not finite": (
        lambda path: onnx_files.restorer(path, weights=(float("nan"), 1, 1)), "it gives values that are not finite"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_other_files_are_refused_in_a_sentence(tmp_path, kind):
    make, problem = WRONG[kind]
    path = make(tmp_path / "mine.onnx")
    with pytest.raises(
        ValueError, match=rf"^mine.onnx is no network that onnxruntime .* \(.*({problem}).*get this one again"
    ) as said:
        checkpoints.load(path)
    assert str(tmp_path) not in str(said.value)


def test_weights_in_a_second_file_are_refused_and_the_advice_works(tmp_path, monkeypatch):
    path = in_two_files(tmp_path / "mine.onnx")
    with pytest.raises(ValueError, match="mine.onnx has its weights in a second file, expected one") as said:
        checkpoints.load(path)
    monkeypatch.chdir(tmp_path)
    exec(str(said.value).partition("in Python: ")[2])
    assert checkpoints.load(tmp_path / "joined.onnx").side == 64


def test_what_is_larger_than_a_protobuf_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "mine.onnx").open("wb") as file:
        file.write(b"\x08\x08")
        file.truncate(onnx_networks.LARGEST)
    with pytest.raises(ValueError, match="mine.onnx has 2,147,483,648 bytes, expected less than"):
        checkpoints.load(tmp_path / "mine.onnx")


def test_a_file_is_tried_once_and_a_published_one_never(tmp_path, monkeypatch):
    onnx_networks._trial.cache_clear()
    path = onnx_files.restorer(tmp_path / "mine.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(onnx_networks, "fault_of", lambda *_, **__: pytest.fail("it needs no trial"))
    assert onnx_networks.load(path, "mine.onnx", {digest}).side == 64
    monkeypatch.undo()
    checkpoints.load(path)
    monkeypatch.setattr(onnx_networks, "fault_of", lambda *_, **__: pytest.fail("it was tried before"))
    checkpoints.load(path)


def test_without_onnxruntime_the_command_that_installs_it_is_said(tmp_path, monkeypatch):
    path = onnx_files.restorer(tmp_path / "mine.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="mine.onnx is an ONNX network, which needs the package onnxruntime: pip install"):
        checkpoints.load(path)


def test_its_memory_can_be_freed_and_it_is_copied_without(tmp_path, crops):
    network = checkpoints.load(onnx_files.restorer(tmp_path / "mine.onnx"))
    before = network.restore(crops)
    network.graph.release()
    assert network.graph._session is None
    for one in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(one.restore(crops), before)


def test_where_two_faces_do_not_fit_they_are_restored_one_by_one(tmp_path, crops):
    """A graph that asks for 4 TB as soon as it gets two faces."""
    make = onnx.helper.make_node
    nodes = [
        make("Shape", ["input"], ["count"], start=0, end=1),
        make("Sub", ["count", "one"], ["more"]),
        make("Mul", ["more", "vast"], ["much"]),
        make("Add", ["much", "one"], ["size"]),
        make("ConstantOfShape", ["size"], ["zeros"]),
        make("ReduceMax", ["zeros"], ["zero"], keepdims=0),
        make("Add", ["input", "zero"], ["output"]),
    ]
    value = (["N", 3, 64, 64], 1)
    path = onnx_files.save(
        tmp_path / "mine.onnx", nodes, {"input": value}, {"output": value}, {"one": np.array([1]), "vast": np.array([2**40])}
    )
    network = checkpoints.load(path)
    parts = list(run_in_batches(lambda part: network.restore(crops[part]), 3, lambda: 3))
    assert len(parts) == 3 and torch.allclose(torch.cat([faces for _, faces in parts]), crops, atol=1e-6)
    with pytest.raises(MemoryError, match="Failed to allocate memory") as error:
        network.restore(crops)
    assert TOO_LARGE not in str(error.value)


def test_large_faces_get_the_pixels_of_a_large_network_and_the_rest_stays(tmp_path, photo):
    image = photo("photos/astronaut_1face.png")
    restorer = checkpoints.load(onnx_files.restorer(tmp_path / "GPEN-BFR-1024.onnx", "S"))
    fixed = fix_faces(image, load("mtcnn"), restorer)
    changed = fixed.mask[0, 0] > 0
    assert fixed.aligned.crops.shape == (1, 3, 1024, 1024)
    assert torch.equal(fixed.images[0][:, ~changed], image[0][:, ~changed])
    assert not torch.equal(fixed.images[0][:, changed], image[0][:, changed])


def test_frames_are_restored_with_tracked_faces(tmp_path, photo):
    frames = photo("photos/astronaut_1face.png")[:, :, 20:276, 100:356].repeat(2, 1, 1, 1)
    restorer = checkpoints.load(onnx_files.restorer(tmp_path / "mine.onnx", 256))
    fixed = fix_frames(frames, load("mtcnn"), restorer, FixOptions(always=True))
    assert fixed.mask.flatten(1).amax(1).tolist() == pytest.approx([1, 1]) and not torch.equal(fixed.images, frames)


def test_the_command_line_runs_it(tmp_path, data, capsys):
    model = onnx_files.restorer(tmp_path / "mine.onnx", 512)
    photo, target = data / "photos" / "astronaut_1face.png", tmp_path / "out.png"
    command = ["fix", str(photo), "-o", str(target), "--model", str(model), "--detector", "mtcnn", "--device", "cpu"]
    assert main([*command, "--fidelity", "0.7"]) == 0 and target.exists()
    assert "mine.onnx is a restorer in ONNX format: it has no fidelity weight" in capsys.readouterr().err
    two_inputs(model)
    assert main([*command, "--overwrite"]) == 1
    assert "mine.onnx is no network that onnxruntime" in capsys.readouterr().err
