"""A fidelity per face or painted, several at once, and how sure the network is; crops that were edited elsewhere."""

import pytest
import torch

from codeformer_core import checkpoints
from codeformer_core.align import align
from codeformer_core.certainty import paste_maps, uncertainty_maps
from codeformer_core.faces import Face
from codeformer_core.fidelity import fidelity_maps, fidelity_per_face, sweep
from codeformer_core.imaging.overlay import draw_heatmap, draw_labels
from codeformer_core.masks.limits import crop_masks, exclude
from codeformer_core.paste import paste_mask
from codeformer_core.restoration import replace_crops, restore


@pytest.fixture(scope="module")
def network(tiny_checkpoint):
    return checkpoints.load(tiny_checkpoint)


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 90, 120, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def aligned(images):
    points = ((52.0, 41.0), (62.0, 41.0), (57.0, 47.0), (53.0, 52.0), (61.0, 52.0))
    return align(images, [Face(index, (47.0, 33.0, 67.0, 57.0), points, 0.9) for index in (0, 1)], 64)


@pytest.mark.parametrize(("values", "faces", "expected"), [([], 3, 0.5), ([0.2], 3, 0.2), ([0.2, 0.4], 0, 0.2)])
def test_one_number_serves_every_face(values, faces, expected):
    assert fidelity_per_face(values, 0.5, faces) == expected


def test_a_list_has_a_number_for_every_face():
    assert torch.equal(fidelity_per_face([0.2, 0.4], 0.5, 2), torch.tensor([0.2, 0.4]))
    assert torch.equal(fidelity_per_face([None, 0.4], 0.5, 2), torch.tensor([0.5, 0.4]))  # one without its own
    assert fidelity_per_face([None], 0.5, 2) == 0.5
    with pytest.raises(ValueError, match="Found 2 fidelities for 1 face. Expected one for each face"):
        fidelity_per_face([0.2, 0.4], 0.5, 1)
    with pytest.raises(ValueError, match="Found a fidelity of 1.5"):
        fidelity_per_face([1.5], 0.5, 1)


def test_a_soft_mask_interpolates_between_two_fidelities(aligned):
    ramp = torch.linspace(0, 1, 120).expand(1, 1, 90, 120)
    maps = fidelity_maps(aligned, torch.tensor([0.0, 1.0]), ramp, 0.5)
    assert maps.shape == (2, 1, 64, 64)
    assert maps[0, 0, 32, :10].mean() < maps[0, 0, 32, -10:].mean() < 0.5 < maps[1, 0, 32, -10:].mean()


def test_a_sweep_equals_separate_restorations(aligned, network):
    drawn = sweep(aligned, network, 2, [0.0, 0.6])
    for one, weight in zip(drawn, (0.0, 0.6), strict=True):
        assert torch.allclose(one, restore(aligned, network, weight).crops[1], atol=1e-5)


def test_a_sweep_of_a_missing_face_is_refused(aligned, network):
    with pytest.raises(ValueError, match="Found face number 3 of 2 faces. Expected 1 to 2"):
        sweep(aligned, network, 3, [0.5])


def test_uncertainty_is_one_minus_certainty(aligned, images, network):
    maps = uncertainty_maps(aligned, network)
    assert torch.allclose(maps, 1 - network.certainty(aligned.originals), atol=1e-6)
    ones, covered = paste_maps(torch.ones_like(maps), aligned, (2, 90, 120))
    assert torch.allclose(ones[covered > 0.3], covered[covered > 0.3], atol=1e-4) and not ones[covered == 0].any()
    tinted = draw_heatmap(images, ones, covered)
    assert torch.equal(tinted[(covered == 0).expand_as(images)], images[(covered == 0).expand_as(images)])
    assert (tinted - images)[:, 0][covered[:, 0] > 0.9].mean() > 0.1


def test_a_label_is_written_on_the_lower_edge_only():
    images = torch.full((2, 3, 256, 256), 0.5)
    drawn = draw_labels(images, ["w = 0", "w = 0.25"])
    assert torch.equal(drawn[:, :, :200], images[:, :, :200]) and drawn[:, :, 230:].amax() > 0.9
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize("side", [32, 64, 256])
def test_edited_crops_may_have_any_side(aligned, side):
    edited = replace_crops(aligned, torch.rand(2, 3, side, side), torch.zeros(1, 1, 10, 10))
    assert edited.crops.shape[-1] == side and edited.side == 64 and not edited.masks.any()


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (2, 3, 64, 32)], ids=["too few", "not square"])
def test_edited_crops_of_the_wrong_number_or_shape_are_refused(aligned, shape):
    with pytest.raises(ValueError, match=r"Found .*crops .*Expected"):
        replace_crops(aligned, torch.rand(shape))


def test_a_sweep_with_values_that_are_not_finite_is_refused(aligned):
    class Broken:
        side = 64

        def sweep(self, crops, fidelities, match_style):
            return torch.full((1, len(fidelities), 3, 64, 64), torch.nan)

    with pytest.raises(RuntimeError, match="The network gave values that are not finite"):
        sweep(aligned, Broken(), 1, [0.0, 0.5])


def test_as_many_fidelities_as_faces_whatever_the_batch(aligned, network):
    for batch in (1, 4):
        with pytest.raises(ValueError, match="Found 3 fidelities for 2 faces. Expected one for each, or one for all"):
            restore(aligned, network, torch.tensor([0.1, 0.2, 0.3]), batch=batch)


def test_masks_of_edited_crops_replace_every_limit(aligned):
    kept_out = exclude(aligned, torch.full((1, 1, 90, 120), 0.5))
    back = replace_crops(kept_out, kept_out.crops, crop_masks(kept_out))
    assert float(paste_mask(back, 2).max()) == pytest.approx(0.5, abs=1e-3)
    assert paste_mask(replace_crops(kept_out, kept_out.crops), 2).max() <= 0.5


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_restore_refuses_a_fidelity_outside_its_range(aligned, wrong):
    with pytest.raises(ValueError, match=r"Found a fidelity of .* Expected 0 \(the cleanest face\) to 1"):
        restore(aligned, object(), wrong)  # pyright: ignore[reportArgumentType]
