"""The seam of the square mask."""

import math

import pytest
import torch
from fake_cuda import DEVICE, Cuda

from codeformer_core.imaging.affine import compose, translation, warp
from codeformer_core.imaging.morphology import blur, erode, eroded_area, seam_mask


def similarity(scale: float, angle: float, x: float, y: float, side: int, mirrored: bool = False) -> torch.Tensor:
    """(1, 2, 3): a square of `side` pixels -> the same, scaled and rotated, with its centre at (x, y)."""
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    flip = -1.0 if mirrored else 1.0
    turned = torch.tensor([[[flip * cos, -sin, x], [flip * sin, cos, y]]], dtype=torch.float64)
    return compose(translation(-(side - 1) / 2, -(side - 1) / 2), turned)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("scale", "angle", "x", "y"),
    [(0.3, 0.0, 60, 50), (0.9, 0.4, 60, 50), (1.7, -0.8, 60, 50), (0.9, 0.4, 5, 3), (0.9, 2.0, 119, 50), (5.0, 0.2, 60, 50)],
    ids=["inside", "rotated", "larger than the image", "in a corner", "over the edge", "all of the image"],
)
def test_the_area_of_a_warped_square_is_that_of_its_pixels(scale, angle, x, y, size, mirrored):
    affine = similarity(scale, angle, x, y, 96, mirrored)
    pixels = erode(warp(torch.ones(1, 1, 96, 96), affine, 100, 120), size).sum().item()
    assert abs(pixels**0.5 - eroded_area(affine, 96, 100, 120, size) ** 0.5) < 0.5


def test_nothing_is_left_of_a_square_smaller_than_the_erosion_or_outside():
    assert eroded_area(similarity(0.01, 0.3, 50, 50, 96), 96, 100, 120, 3) == 0
    assert eroded_area(similarity(0.3, 0.3, -50, 50, 96), 96, 100, 120, 1) == 0


def test_each_mask_has_its_own_erosion_and_blur():
    masks = (torch.rand(3, 1, 50, 60, generator=torch.Generator().manual_seed(0)) > 0.1).float()
    sizes, sigmas, radii = [1, 8, 3], [0.5, 3.2, 11.0], [0, 9, 50]  # the last is mirrored more than once
    alone = [erode(mask[None], size) for mask, size in zip(masks, sizes, strict=True)]
    soft = [blur(mask[None], sigma, radius) for mask, sigma, radius in zip(masks, sigmas, radii, strict=True)]
    assert torch.equal(erode(masks, sizes), torch.cat(alone)) and torch.equal(blur(masks, sigmas, radii), torch.cat(soft))
    with Cuda():
        there = masks.to(DEVICE)
        assert torch.equal(erode(there, sizes).cpu(), torch.cat(alone))
        assert (blur(there, sigmas, radii).cpu() - torch.cat(soft)).abs().max() < 1e-5


def test_a_seam_without_a_width_is_what_is_covered():
    covered = torch.zeros(2, 1, 20, 30)
    covered[:, :, 5:15, 5:15] = 1
    thin, wide = seam_mask(covered, [0, 2], 0.5)
    assert torch.equal(thin, covered[0]) and wide.sum() < thin.sum() and wide.max() == 1
