"""Holes anywhere in an image are filled in windows around them, and every other pixel stays."""

import pytest
import torch
from fake_cuda import DEVICE, FakeCuda

from codeformer_core.background.filling import WINDOWS, fill_holes


class Mean:
    """Fills holes with the mean of what is known in the window; remembers the windows."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.shares: list[float] = []

    def fill(self, images, holes):
        self.sizes.append(tuple(images.shape[2:]))
        self.shares.append(float(holes.mean()))
        known = (images * (1 - holes)).sum((2, 3), keepdim=True) / (1 - holes).sum((2, 3), keepdim=True).clamp(min=1)
        return torch.lerp(images, known.expand_as(images), holes)


def picture(height: int, width: int, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4


def holes_at(height: int, width: int, *boxes: tuple[int, int, int, int]) -> torch.Tensor:
    holes = torch.zeros(1, 1, height, width)
    for y0, y1, x0, x1 in boxes:
        holes[..., y0:y1, x0:x1] = 1
    return holes


def test_only_holes_change_and_all_of_them():
    image, holes = picture(700, 900), holes_at(700, 900, (10, 20, 0, 900), (300, 400, 100, 160), (699, 700, 899, 900))
    image = torch.where(holes > 0, 1.0, image)
    filled = fill_holes(image, holes, Mean())
    hole = (holes > 0).expand_as(image)
    assert torch.equal(filled[~hole], image[~hole])
    assert float((filled[hole] - 0.5).abs().max()) < 0.01
    assert float(image[hole].min()) == 1  # the image that was given is as it was


def test_windows_are_small_and_holes_far_apart_have_their_own():
    network = Mean()
    fill_holes(picture(2000, 2000), holes_at(2000, 2000, (100, 110, 100, 400), (1800, 1900, 1800, 1810)), network)
    assert network.sizes == [(512, 512), (512, 512)]
    network = Mean()
    fill_holes(picture(600, 1300), holes_at(600, 1300, (200, 210, 200, 860)), network)
    assert network.sizes == [(600, 1024)]


def test_a_hole_larger_than_every_window_is_filled_from_what_is_known_inwards():
    image, holes = picture(1800, 2400), holes_at(1800, 2400, (100, 1700, 100, 2300))
    network = Mean()
    filled = fill_holes(torch.where(holes > 0, 1.0, image), holes, network)
    assert max(max(size) for size in network.sizes) <= WINDOWS[-1]
    assert max(network.shares) < 1 and float((filled - 0.5).abs().max()) < 0.2


def test_a_ramp_fades_the_filling_into_the_image():
    image = torch.full((1, 3, 64, 64), 0.2)
    image[..., :20, :] = 0.8
    holes = holes_at(64, 64, (30, 40, 30, 40))
    holes[..., 28:30, 30:40] = 0.5
    filled = fill_holes(image, holes, Mean())
    inside, ramp = filled[0, 0, 35, 35], filled[0, 0, 28, 35]
    assert float(ramp) == pytest.approx(float(0.2 + inside) / 2, abs=1e-3)


def test_grey_stays_grey_and_each_image_of_a_batch_has_its_own_holes():
    class Red(Mean):
        def fill(self, images, holes):
            return torch.lerp(images, torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1).expand_as(images), holes)

    images = picture(80, 80, 2)
    images[0] = images[0, :1]
    holes = torch.cat([holes_at(80, 80, (5, 9, 5, 9)), holes_at(80, 80, (50, 60, 50, 60))])
    filled = fill_holes(images, holes, Red())
    assert torch.equal(filled[0, 0], filled[0, 2]) and float(filled[0, 0, 6, 6]) == pytest.approx(1 / 3)
    assert filled[1, :, 55, 55].tolist() == [1, 0, 0] and torch.equal(filled[1, :, 6, 6], images[1, :, 6, 6])


def test_without_holes_nothing_is_run_and_progress_counts_windows():
    network, seen = Mean(), []
    image = picture(60, 60)
    assert torch.equal(fill_holes(image, torch.full((1, 1, 60, 60), 0.02), network), image) and not network.sizes
    fill_holes(
        picture(900, 900), holes_at(900, 900, (0, 5, 0, 5), (800, 805, 800, 805)), network, lambda *done: seen.append(done)
    )
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_values_that_are_not_finite_stop_the_run():
    class Broken(Mean):
        def fill(self, images, holes):
            return images * torch.nan

    with pytest.raises(RuntimeError, match="not finite"):
        fill_holes(picture(40, 40), holes_at(40, 40, (5, 9, 5, 9)), Broken())


def test_a_simulated_device_gives_the_same_image():
    image, holes = picture(60, 80), holes_at(60, 80, (5, 20, 5, 20))
    near = fill_holes(image, holes, Mean())
    with FakeCuda():
        assert torch.equal(fill_holes(image.to(DEVICE), holes.to(DEVICE), Mean()).cpu(), near)
