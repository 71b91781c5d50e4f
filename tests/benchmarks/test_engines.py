"""`python -m benchmarks --against`: other engines compute what this project's network does. No test depends on times."""

import json

import pytest

from benchmarks.__main__ import main

TINY = ["--tiny", "--rounds", "1", "--precisions", "exact,balanced"]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_restore_what_exact_does(engine, tmp_path, capsys):
    for package in ("onnx", engine):
        pytest.importorskip(package, reason=f"needs {package}, which is in no extra of the tests")
    file = tmp_path / "numbers.json"
    assert main([*TINY, "--against", engine, "--json", str(file)]) == 0
    exact, balanced, other = json.loads(file.read_text())["engines"][:3]
    assert (exact["engine"], balanced["engine"], other["engine"]) == ("exact", "balanced", f"{engine} fp32")
    assert exact["decibels"] is None and exact["ratio"] == 1 and balanced["codes"] == 1
    assert other["codes"] == 1 and other["decibels"] > 100 and other["ratio"] > 0
    assert f"{engine} fp32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--against", "tensorrt"], "'tensorrt' is none of openvino, onnxruntime"),
        (["--against", "openvino", "--device", "meta"], "--against measures on the CPU: leave out --device meta"),
        (["--against", "openvino", "--allocator", "ours-kept"], "use --allocator kept or as-it-comes"),
        (["--against", "openvino", "--full", "--faces", "2"], "leave out --full, --faces"),
    ],
)
def test_options_that_do_not_fit_are_refused(monkeypatch, capsys, options, says):
    monkeypatch.setattr("benchmarks.engines.find_spec", lambda name: name)
    assert main([*TINY, *options]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.engines.find_spec", lambda name: None)
    assert main([*TINY, "--against", "openvino"]) == 2
    assert "pip install openvino onnx" in capsys.readouterr().err
