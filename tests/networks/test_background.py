"""LaMa, MAT and DDColor through spandrel: recognised, of the right range, the same in every run."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from codeformer_core import checkpoints
from codeformer_core.networks.background import BackgroundColorizer, BackgroundInpainter

pytest.importorskip("spandrel", reason="these networks need the package spandrel")


@pytest.fixture(scope="module")
def lama(lama_checkpoint: Path) -> BackgroundInpainter:
    return checkpoints.load(lama_checkpoint)


@pytest.fixture(scope="module")
def mat(tmp_path_factory: pytest.TempPathFactory) -> BackgroundInpainter:
    """The published layout in its one size; the numbers are the same throughout a tensor, so that the file is small."""
    pytest.importorskip("spandrel_extra_arches", reason="MAT needs the package spandrel_extra_arches")
    from spandrel_extra_arches.architectures.MAT import MAT

    shapes = {key.removeprefix("model."): value.shape for key, value in MAT().state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "mat.pth"
    torch.save({key: torch.zeros(()).half().expand(shape) for key, shape in shapes.items()}, path)
    return checkpoints.load(path)


def picture(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    holes = torch.zeros(1, 1, height, width)
    holes[..., 5:15, 7:30] = 1
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)), holes


def test_lama_fills_the_holes_of_an_image_of_any_size_and_nothing_else(lama):
    assert (lama.role, lama.task, lama.kind) == ("background", "inpainting", "LaMa")
    image, holes = picture(37, 61)
    filled = lama.fill(image, holes)
    assert filled.shape == image.shape and filled.min() >= 0 and filled.max() <= 1
    assert torch.allclose(torch.where(holes > 0, image, filled), image)
    assert torch.equal(filled, lama.fill(torch.where(holes > 0, 0.3, image), holes))  # what is in a hole is not seen


@pytest.mark.parametrize("prefix", ["model.", "", "module.generator.model.generator."])
def test_lama_is_recognised_with_the_prefix_of_each_project(lama_checkpoint, tmp_path, lama, prefix):
    state = {
        key.replace("generator.", prefix, 1): value
        for key, value in checkpoints.read(lama_checkpoint).items()
        if key.startswith("generator.")
    }
    torch.save(state, tmp_path / "lama.pth")
    other = checkpoints.load(tmp_path / "lama.pth").state_dict()
    assert all(torch.equal(value, other[key]) for key, value in lama.state_dict().items())


def test_mat_sees_squares_of_512_and_fills_alike_in_every_run(mat):
    seen = []

    def forward(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(image.shape), set(mask.unique().tolist())))
        return torch.rand_like(image) * mask  # as the dropout in its middle

    mat.network.forward = forward
    image, holes = picture(37, 61)
    filled = mat.fill(image, holes)
    assert seen == [((1, 3, 512, 512), {0.0, 1.0})]
    assert filled.shape == image.shape and torch.equal(filled, mat.fill(image, holes))
    assert mat.network.z.dtype == torch.float32 and mat.kind == "MAT"


def test_mat_fills_alike_in_several_threads(mat):
    def forward(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        first = torch.rand(())
        time.sleep(0.05)  # while the other thread may seed
        return (first + torch.rand(())).expand_as(image) / 2

    mat.network.forward = forward
    image, holes = picture(37, 61)
    expected = mat.fill(image, holes)
    with ThreadPoolExecutor(2) as pool:
        assert all(torch.equal(filled, expected) for filled in pool.map(lambda _: mat.fill(image, holes), range(4)))


def test_random_numbers_of_others_are_left_alone(lama, mat):
    mat.network.forward = lambda image, mask: torch.rand_like(image)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    for network in (lama, mat):
        network.fill(*picture(16, 16 + 24))
    assert torch.equal(torch.rand(2), expected)


def test_ddcolor_gives_chroma(ddcolor_checkpoint):
    ddcolor = checkpoints.load(ddcolor_checkpoint)
    assert isinstance(ddcolor, BackgroundColorizer) and (ddcolor.task, ddcolor.side) == ("colorization", 512)
    chroma = ddcolor.chroma(torch.rand(1, 1, 64, 64))
    assert chroma.shape == (1, 2, 64, 64)
    assert chroma.mean((0, 2, 3)).tolist() == pytest.approx([24, 16], abs=1)
    with pytest.raises(
        ValueError, match="ddcolor_paper_tiny.pth is a DDColor, .* Expected a network for inpainting: LaMa, MAT"
    ):
        ddcolor.require_task("inpainting")


def test_weights_that_do_not_fit_are_refused(lama_checkpoint, ddcolor_checkpoint, tmp_path):
    for path, kind in ((lama_checkpoint, "LaMa"), (ddcolor_checkpoint, "DDColor")):
        state = checkpoints.read(path)
        del state[next(key for key in state if key.endswith(".bias") and "discriminator" not in key)]
        torch.save(state, tmp_path / "mine.pth")
        with pytest.raises(ValueError, match=f"mine.pth looks like {kind} but does not fit. Expected a complete"):
            checkpoints.load(tmp_path / "mine.pth")


def test_a_missing_package_is_named(ddcolor_checkpoint, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spandrel_extra_arches", None)
    with pytest.raises(ImportError, match="is a DDColor, which needs the package .*: pip install spandrel_extra_arches"):
        checkpoints.load(ddcolor_checkpoint)
