"""Regions of faces: those of one kind and similar size together, in an order that leaves the later of two faces on top."""

import pytest
import torch

from codeformer_core.imaging.regions import MOST_SAMPLES, Kind, Region, group, of_one_size, stacked

ONE, OTHER = Kind(1, 1, "one"), Kind(1, 1, "other")


def square(x: int, y: int, side: int = 10, image: int = 0) -> Region:
    return Region(image, x, y, x + side, y + side)


def test_regions_grow_to_one_size_inside_the_image_and_keep_their_place_at_its_border():
    small, left, corner = Region(0, 50, 40, 56, 50), Region(1, 0, 20, 8, 28), Region(2, 95, 72, 100, 80)
    grown = of_one_size([small, left, corner], (80, 100))
    assert grown == [Region(0, 50, 40, 58, 50), Region(1, 0, 20, 8, 30), Region(2, 92, 70, 100, 80)]
    assert of_one_size([small], (80, 100)) == [small]


def test_a_region_is_a_view_of_its_image_and_a_single_image_serves_all():
    images = torch.arange(2 * 3 * 20 * 30.0).reshape(2, 3, 20, 30)
    region = Region(1, 4, 5, 10, 9)
    assert torch.equal(region.of(images), images[1, :, 5:9, 4:10]) and torch.equal(
        region.of(images[:1]), images[0, :, 5:9, 4:10]
    )
    region.of(images).zero_()
    assert not images[1, :, 5:9, 4:10].any()


def test_regions_of_one_kind_are_worked_on_together_and_empty_ones_left_out():
    regions = [square(0, 0), square(20, 0), Region(0, 30, 0, 30, 5), square(40, 0), square(60, 0, image=1)]
    assert group(regions, [ONE, OTHER, ONE, ONE, OTHER], together=True) == [[0, 3], [1, 4]]
    assert group(regions, [ONE] * 5, together=False) == [[0], [1], [3], [4]]


@pytest.mark.parametrize(
    ("last", "groups"),
    [
        (square(50, 0), [[0, 2], [1]]),
        (square(5, 0), [[0], [1], [2]]),  # over the second, which must be there before
        (square(5, 0, image=1), [[0, 2], [1]]),
    ],
    ids=["apart", "overlapping", "in another image"],
)
def test_a_region_comes_after_those_that_it_overlaps(last, groups):
    assert group([square(0, 0), square(8, 0), last], [ONE, OTHER, ONE], together=True) == groups


def test_a_region_joins_no_group_whose_pixels_would_be_more_than_doubled():
    regions = [square(0, 0, 40), square(100, 0, 10), square(200, 0, 10), square(300, 0, 12)]
    assert group(regions, [ONE] * 4, together=True) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("kind", [Kind(MOST_SAMPLES // 200, 1, 0), Kind(1, MOST_SAMPLES // 2, 0)], ids=["regions", "sources"])
def test_memory_bounds_how_many_are_worked_on_together(kind):
    regions = [square(20 * index, 0) for index in range(5)]
    assert group(regions, [kind] * 5, together=True) == [[0, 1], [2, 3], [4]]


def test_one_tensor_is_stacked_without_a_copy():
    one = torch.rand(3, 4)
    assert stacked([one]).data_ptr() == one.data_ptr() and torch.equal(stacked([one, one]), torch.stack([one, one]))
