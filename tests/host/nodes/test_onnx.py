"""Restorers in ONNX files in the host: run by the nodes, cancelled between faces, freed when the host unloads them."""

import sys
from pathlib import Path

import pytest
import torch

from .test_model_files import models  # noqa: F401

pytest.importorskip("onnxruntime", reason="ONNX files need the package onnxruntime")
pytest.importorskip("onnx", reason="the tests build networks with the package onnx")
onnx_files = pytest.importorskip("onnx_files")


@pytest.fixture
def folder(models):  # noqa: F811
    """The folder of the restorers, without what a test has laid there."""
    path = models / "facerestore_models"
    path.mkdir(parents=True, exist_ok=True)
    before = set(path.iterdir())
    yield path
    for file in set(path.iterdir()) - before:
        file.unlink()


def loaded(pack, path: Path):
    return pack.run("CodeFormerModelLoader", model_name=path.name).result[0]


def test_a_restorer_runs_in_the_nodes_with_the_pixels_that_it_draws(pack, folder, photo, one_face, picture):
    model = loaded(pack, onnx_files.restorer(folder / "GPEN-BFR-1024.onnx", "S"))
    faces = pack.run("CodeFormerFaceDetect", image=picture, detector=one_face).result[0]
    restored = pack.run("CodeFormerRestore", faces=faces, model=model, fidelity=0.5).result[0]
    assert model.side == 1024 and restored.crops.shape == (2, 3, 1024, 1024)
    fixed, mask = pack.run("CodeFormerFixFaces", image=picture, model=model, detector=one_face, fidelity=0.5).result[:2]
    assert mask.max() == 1 and torch.equal(fixed[mask == 0], picture[mask == 0]) and not torch.equal(fixed, picture)
    with pytest.raises(ValueError, match="GPEN-BFR-1024.onnx is a restorer in ONNX format without a fidelity weight"):
        pack.run("CodeFormerFidelitySweep", faces=faces, model=model, fidelities="0, 1", number=1)


def test_the_host_frees_its_memory_and_knows_how_much_that_is(pack, folder):
    import comfy.model_management as mm

    path = onnx_files.restorer(folder / "mine.onnx", batch="N")
    model, crops = loaded(pack, path), torch.rand(2, 3, 64, 64)
    before = model.restore(crops, 0.5)
    assert model.patcher in mm.loaded_models() and model.network.graph._session
    assert model.patcher.model_size() == model.patcher.loaded_size() == path.stat().st_size
    model.restore(crops, 0.5)
    assert model.network.graph._session  # a second call of the host's keeps it
    mm.unload_all_models()
    assert model.network.graph._session is None
    assert torch.equal(model.restore(crops, 0.5), before)


@pytest.mark.parametrize("batch", [1, 2])
def test_cancel_stops_between_two_calls_of_the_network(pack, folder, monkeypatch, batch):
    import comfy.model_management as mm

    model, calls = loaded(pack, onnx_files.restorer(folder / "mine.onnx", batch=batch)), []
    run = model.network.graph._run

    def cancelled(*given):
        calls.append(given)
        mm.interrupt_current_processing(True)
        return run(*given)

    monkeypatch.setattr(model.network.graph, "_run", cancelled)
    with pytest.raises(mm.InterruptProcessingException):
        model.restore(torch.rand(5, 3, 64, 64), 0.5)
    assert len(calls) == 1


def test_other_files_and_a_missing_package_are_said_in_a_sentence(pack, folder, monkeypatch):
    wrong = folder / "wrong.onnx"
    wrong.write_bytes(b"\x08\x08" * 99)
    with pytest.raises(ValueError, match="wrong.onnx is no network that onnxruntime"):
        loaded(pack, wrong)
    with pytest.raises(ValueError, match="xseg.onnx is a face occluder; a face restorer is needed here"):
        loaded(pack, onnx_files.occluder(folder / "xseg.onnx"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="mine.onnx is an ONNX network, which needs the package onnxruntime: pip install"):
        loaded(pack, onnx_files.restorer(folder / "mine.onnx"))
