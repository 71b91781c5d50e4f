"""GFPGAN and RestoreFormer through spandrel: recognised, of the right range, the same in every run."""

import copy
from pathlib import Path

import pytest
import torch
from fake_cuda import DEVICE, FakeCuda

from codeformer_core import checkpoints, load
from codeformer_core.cli import main
from codeformer_core.networks.spandrel_restorer import SpandrelRestorer
from codeformer_core.options import FixOptions
from codeformer_core.pipeline import fix_faces
from codeformer_core.video.pipeline import fix_frames

pytest.importorskip("spandrel", reason="these networks need the package spandrel")


@pytest.fixture(scope="module")
def small(restoreformer_checkpoint: Path) -> Path:
    return restoreformer_checkpoint


@pytest.fixture(scope="module")
def restorer(small: Path) -> SpandrelRestorer:
    return checkpoints.load(small)


@pytest.fixture(scope="module")
def gfpgan(gfpgan_checkpoint: Path) -> SpandrelRestorer:
    return checkpoints.load(gfpgan_checkpoint)


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(1))


def test_restoreformer_is_no_damaged_codeformer(restorer):
    assert isinstance(restorer, SpandrelRestorer) and restorer.kind == "RestoreFormer"
    assert (restorer.role, restorer.task, restorer.side) == ("restorer", "restoration", 512)
    assert not restorer.training and not any(parameter.requires_grad for parameter in restorer.parameters())


def test_ranges_are_those_that_the_network_was_trained_with(restorer, crops):
    with torch.no_grad():
        expected = (restorer.network(crops * 2 - 1)[0] + 1) / 2
    result = restorer.restore(crops, 0.5)
    assert torch.allclose(result, expected.clamp(0, 1), atol=1e-6)
    assert 0.2 < float(result.mean()) < 0.8 and float(result.std()) > 0.01


def test_spandrel_maps_the_range_of_restoreformer_alike(restorer, small, crops):
    from spandrel import ModelLoader

    descriptor = ModelLoader().load_from_state_dict(checkpoints.read(small))
    assert torch.allclose(descriptor(crops), restorer.restore(crops), atol=1e-5)


def test_gfpgan_gives_the_full_range_and_the_same_face_in_every_run(gfpgan, crops):
    assert gfpgan.kind == "GFPGAN"
    first = gfpgan.restore(crops)
    assert first.shape == (1, 3, 512, 512) and torch.equal(first, gfpgan.restore(crops, 0.9))
    red, green, blue = first.mean(dim=(0, 2, 3)).tolist()
    assert 0 < red < 0.5 and red < green < blue  # what is below 0 in the network's range is no black


def test_a_fidelity_of_each_face_is_refused_and_one_number_changes_nothing(restorer, crops):
    assert torch.equal(restorer.restore(crops, 0.0), restorer.restore(crops, torch.tensor([1.0])))
    for fidelity in (torch.tensor([0.1, 0.9]), torch.ones(2, 1, 8, 8)):
        with pytest.raises(
            ValueError, match="RestoreFormer.pth is a RestoreFormer without a fidelity weight, by face.*codeformer.pth"
        ):
            restorer.restore(crops, fidelity)
    with pytest.raises(ValueError, match="takes 512 x 512: align with side=512"):
        restorer.restore(crops[..., :256, :256])


@pytest.mark.parametrize(
    ("call", "lacks"), [("sweep", "fidelity weight"), ("certainty", "codes"), ("colorize", "colours"), ("inpaint", "holes")]
)
def test_what_it_cannot_do_is_said_where_it_is_asked_for(restorer, crops, call, lacks):
    with pytest.raises(ValueError, match=rf"RestoreFormer.pth is a RestoreFormer without .*{lacks}.*: choose codeformer"):
        getattr(restorer, call)(crops, *([[0, 1]] if call == "sweep" else []))


def test_another_task_is_refused_before_any_work(restorer):
    restorer.require_task("restoration")
    for task, lacks in (("colorization", "colours"), ("inpainting", "holes")):
        with pytest.raises(ValueError, match=f"without training for {lacks}: choose codeformer_{task}.pth for this"):
            restorer.require_task(task)


def test_a_face_of_a_photo_is_restored_and_the_rest_stays(restorer, photo):
    image = photo("photos/astronaut_1face.png")
    fixed = fix_faces(image, load("mtcnn"), restorer)
    changed = fixed.mask[0, 0] > 0
    assert len(fixed.aligned) == 1 and changed.any()
    assert torch.equal(fixed.images[0][:, ~changed], image[0][:, ~changed])
    assert not torch.equal(fixed.images[0][:, changed], image[0][:, changed])


def test_frames_are_restored_one_by_one_with_tracked_faces(restorer, photo):
    frames = photo("photos/astronaut_1face.png")[:, :, 20:276, 100:356].repeat(2, 1, 1, 1)
    fixed = fix_frames(frames, load("mtcnn"), restorer, FixOptions())
    assert fixed.mask.flatten(1).amax(1).tolist() == pytest.approx([1, 1])
    assert not torch.equal(fixed.images, frames)


def test_it_restores_the_same_on_a_simulated_device(restorer, crops):
    near = restorer.restore(crops)
    with FakeCuda():
        far = copy.deepcopy(restorer).to(DEVICE).restore(crops.to(DEVICE))
        assert torch.allclose(far.cpu(), near, atol=1e-5)


@pytest.mark.parametrize("change", ["missing", "superfluous", "shape", "empty"])
def test_weights_that_do_not_fit_are_refused(small, tmp_path, change):
    state = torch.load(small, weights_only=True)["params"]
    if change == "missing":
        state.pop("decoder.conv_in.bias")
    elif change == "superfluous":
        state["more"] = torch.ones(1)
    else:
        state["quant_conv.weight"] = torch.ones(3, 3) if change == "shape" else torch.zeros(0)
    torch.save(state, tmp_path / "mine.pth")
    with pytest.raises(ValueError, match=r"mine.pth looks like RestoreFormer but does not fit. Expected .* get it again"):
        checkpoints.load(tmp_path / "mine.pth")


def test_the_first_gfpgan_is_named_although_it_does_not_run(tmp_path):
    torch.save(
        {"stylegan_decoder.to_rgbs.1.bias": torch.zeros(1), "conv_body_first.weight": torch.zeros(1)}, tmp_path / "v1.pth"
    )
    with pytest.raises(ValueError, match=r"v1.pth looks like GFPGAN but does not fit. Expected .*GFPGAN 1.2 to 1.4"):
        checkpoints.load(tmp_path / "v1.pth")


def test_the_command_line_runs_it_and_says_what_a_fidelity_does(small, data, tmp_path, capsys):
    photo, target = data / "photos" / "astronaut_1face.png", tmp_path / "out.png"
    command = ["fix", str(photo), "-o", str(target), "--model", str(small), "--detector", "mtcnn", "--device", "cpu"]
    assert main([*command, "--fidelity", "0.7"]) == 0 and target.exists()
    assert "RestoreFormer.pth is a RestoreFormer: it has no fidelity weight" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert "fidelity" not in capsys.readouterr().err
    assert main([*command, "--overwrite", "--fidelity", "0.1,0.2"]) == 1
    assert main(["colorize", *command[1:], "--overwrite"]) == 1
    assert "Needed is a restorer for colorization" in capsys.readouterr().err
