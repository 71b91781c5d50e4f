"""`python -m benchmarks gpu`, tried on the CPU. No test depends on times."""

import json
from itertools import islice, product
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import layouts, parity, synthetic_weights
from benchmarks.__main__ import main
from benchmarks.roofline import Rates, Roofline
from benchmarks.sections import SECTIONS
from codeformer_core import checkpoints

TINY = ["gpu", "--tiny", "--device", "cpu", "--quiet"]


def test_sections_that_fail_do_not_stop_the_others(tmp_path, capfd):
    file = tmp_path / "gpu.json"
    assert main([*TINY, "--sections", "graph,transfers,restore", "--out", str(file)]) == 1
    shown, said = capfd.readouterr()
    assert "graph: CUDA graphs need a CUDA device" in said
    found = json.loads(file.read_text())
    assert found["failures"] == ["graph: CUDA graphs need a CUDA device"] and found["versions"]["torch"] == torch.__version__
    lines = found["lines"]
    assert {line["section"] for line in lines} == {"transfers", "restore"}
    assert [line["what"] for line in lines if line["section"] == "restore"] == [
        f"restore, {precision}, batch {batch}" for precision in ("exact", "balanced", "fast") for batch in (1, 2)
    ]
    assert all(line["value"] > 0 for line in lines if line["section"] == "restore")
    assert all(line["what"] in shown for line in lines)


def test_no_case_begins_when_the_time_is_up(tmp_path, capfd):
    assert main([*TINY, "--sections", "steps", "--minutes", "0", "--out", str(tmp_path / "gpu.json")]) == 1
    assert capfd.readouterr().err.count("not measured, the time is up (--minutes)") == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--out", "numbers.txt"], "numbers.txt does not end in .json"),
        (["--out", "old.json"], "old.json exists already"),
        (["--out", "new.json", "--sections", "dream"], "'dream' is none of parity, restore,"),
        (["--out", "new.json", "--device", "abacus"], "the device abacus cannot be used"),
        (["--out", "new.json", "--reference", "."], "is no checkout of the official CodeFormer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_are_refused_before_measuring(tmp_path, monkeypatch, capsys, options, says):
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text("{}")
    assert main([*TINY, *options]) == 2
    assert says in capsys.readouterr().err and not Path("new.json").exists()


def test_whole_images_and_videos_are_measured(tmp_path):
    file = tmp_path / "gpu.json"
    assert main([*TINY, "--sections", "whole", "--out", str(file)]) == 0
    steps = [line["what"].split(",")[0] for line in json.loads(file.read_text())["lines"]]
    assert steps == ["picture", "picture", *["fix video", "networks in it"] * 2]


def test_a_folder_is_measured_in_both_ways(tmp_path):
    file = tmp_path / "gpu.json"
    assert main([*TINY, "--sections", "folder", "--out", str(file)]) == 0
    lines = json.loads(file.read_text())["lines"]
    assert [line["what"] for line in lines if "x 120" in line["what"]] == [
        "2 images of 160 x 120, several at a time",
        "2 images of 160 x 120, one after the other",
        "2 images of 160 x 120: times as fast",
        "2 images of 160 x 120: share of the networks' throughput",
    ]
    together, alone, ratio, _ = (line["value"] for line in lines[:4])
    assert ratio == pytest.approx(together / alone)


def test_each_layout_and_normalisation_computes_the_same(tmp_path):
    file = tmp_path / "gpu.json"
    assert main([*TINY, "--sections", "layouts", "--out", str(file)]) == 0
    lines = json.loads(file.read_text())["lines"]
    assert len(lines) == len(layouts.LAYOUTS) * len(layouts.NORMS) and all(line["value"] > 0 for line in lines)
    network = checkpoints.load(synthetic_weights.file(tmp_path, synthetic_weights.RESTORER, tiny=True))
    crops = torch.rand(2, 3, network.side, network.side)
    expected = network.encode(crops)[0]
    for layout, norm in product(layouts.LAYOUTS, layouts.NORMS):
        with layouts.arranged(network, layout, norm), torch.inference_mode():
            assert torch.allclose(network.encode(crops)[0], expected, atol=1e-4)


def test_the_goldens_hold_on_this_device():
    exact = list(islice(parity.lines(torch.device("cpu")), 2))  # bfloat16 takes minutes where it is emulated
    assert [line.holds for line in exact] == [None, True]


def test_the_operations_are_those_that_pytorch_counts(tmp_path):
    network = checkpoints.load(synthetic_weights.file(tmp_path, synthetic_weights.RESTORER, tiny=True))
    crops = torch.rand(1, 3, network.side, network.side)
    with torch.inference_mode(), Roofline(Rates(torch.device("cpu"))) as roofline:
        network.restore(crops, 0.5)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.restore(crops, 0.5)
    assert roofline.operations == counter.get_total_flops() > 0
    weights = sum(parameter.nbytes for parameter in network.parameters())
    assert roofline.bytes > weights and roofline.seconds > 0


def test_every_section_has_a_name_that_can_be_asked_for():
    asked = "parity restore whole folder steps transfers roofline layouts graph tests compiled"
    assert set(SECTIONS) == set(asked.split())
