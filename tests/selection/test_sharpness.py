"""Sharpness tells degraded faces from clean ones, at any size."""

import pytest
import torch
import torch.nn.functional as F

from codeformer_core.faces import Face
from codeformer_core.options.selection import BLURRED
from codeformer_core.selection.sharpness import measure_crop_sharpness, measure_sharpness


@pytest.fixture
def clean(photo) -> torch.Tensor:
    """(1, 3, 256, 256): a face and its surroundings, sharp."""
    return photo("photos/astronaut_1face.png")[..., 20:276, 100:356]


def whole(image: torch.Tensor) -> Face:
    height, width = image.shape[-2:]
    return Face(0, (0.0, 0.0, float(width), float(height)), (), 1.0)


def test_degraded_and_clean_portraits_lie_on_either_side(photo):
    for number in (1, 10, 103, 107, 1004):
        (degraded,) = measure_crop_sharpness(photo(f"stylegan/degraded/omi_{number}_lq512.png"))
        (clean,) = measure_crop_sharpness(photo(f"stylegan/degraded/omi_{number}_hq512.jpg"))
        assert degraded < BLURRED - 0.15 and clean > BLURRED + 0.15, number


def test_grain_on_a_degraded_portrait_is_no_detail(photo):
    picture = photo("stylegan/degraded/omi_10_lq512.png")
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    assert measure_crop_sharpness((picture + noise * 15 / 255).clamp(0, 1))[0] < BLURRED


@pytest.mark.parametrize("side", [150, 256, 800])
def test_the_size_of_a_face_does_not_matter(clean, side):
    resized = F.interpolate(clean, size=(side, side), mode="bilinear", antialias=side < 256)
    assert measure_sharpness(resized, [whole(resized)]) == pytest.approx(measure_sharpness(clean, [whole(clean)]), abs=0.15)


def test_contrast_and_brightness_do_not_matter(clean):
    assert measure_crop_sharpness(clean * 0.3 + 0.5) == pytest.approx(measure_crop_sharpness(clean), abs=0.01)


def test_the_scale_has_fixed_points():
    flat = torch.full((1, 3, 256, 256), 0.5)
    ramp = torch.linspace(0, 1, 256).expand(1, 3, 256, 256)
    edges = (torch.arange(256) // 32 % 2).float().expand(1, 3, 256, 256)
    found = [measure_sharpness(image, [whole(image)])[0] for image in (flat, ramp, edges)]
    assert found[0] == 0 and found[1] == pytest.approx(0, abs=0.05) and found[2] == pytest.approx(1, abs=0.15)


def test_a_face_of_a_few_pixels_or_outside_has_none():
    image = torch.rand(1, 3, 20, 20)
    faces = [Face(0, box, (), 1.0) for box in [(3.0, 3.0, 4.0, 4.0), (-50.0, -50.0, -10.0, -10.0)]]
    assert measure_sharpness(image, faces) == [0, 0]
    assert measure_sharpness(torch.rand(1, 3, 1, 1), [Face(0, (0.0, 0.0, 1.0, 1.0), (), 1.0)]) == [0]
