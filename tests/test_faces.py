"""Aligned faces put together and taken apart: every image keeps its own faces and its own area to paste into."""

import pytest
import torch

from codeformer_core.faces import AlignedFaces, Face

LANDMARKS = ((3.0, 3.0), (5.0, 3.0), (4.0, 4.0), (3.0, 5.0), (5.0, 5.0))


def aligned(*image_indices: int, within: torch.Tensor | None = None, value: float = 0.0, side: int = 4) -> AlignedFaces:
    """One synthetic face for each of the indices; its crop has the value of its row."""
    count = len(image_indices)
    crops = (torch.arange(count) + value).reshape(-1, 1, 1, 1).expand(count, 3, side, side).float()
    return AlignedFaces(
        faces=tuple(Face(index, (0.0, 0.0, 8.0, 8.0), LANDMARKS, 1.0) for index in image_indices),
        originals=crops,
        crops=crops,
        affines=torch.eye(2, 3, dtype=torch.float64).repeat(count, 1, 1),
        masks=torch.ones(count, 1, side, side),
        grey=(False,) * count,
        image_size=(6, 8),
        within=within,
    )


def area(*values: float) -> torch.Tensor:
    """(B, 1, 6, 8): one area for each value."""
    return torch.tensor(values).reshape(-1, 1, 1, 1).expand(len(values), 1, 6, 8).clone()


def test_joined_faces_are_in_the_image_of_their_part():
    joined = AlignedFaces.joined([aligned(0, 0), aligned(side=2), aligned(0, value=7.0)])
    assert [face.image_index for face in joined.faces] == [0, 0, 2]
    assert joined.crops[:, 0, 0, 0].tolist() == [0, 1, 7] and joined.within is None


def test_joined_faces_keep_the_area_of_each_image():
    joined = AlignedFaces.joined([aligned(0, within=area(0.25)), aligned(0), aligned(within=area(0.75))])
    assert torch.equal(joined.within, area(0.25, 1.0, 0.75))


def test_the_faces_of_an_image_keep_only_its_own_area():
    batch = aligned(0, 1, 1, within=area(0.25, 0.75))
    own = batch.of_image(1)
    assert [face.image_index for face in own.faces] == [0, 0] and own.crops[:, 0, 0, 0].tolist() == [1, 2]
    assert torch.equal(own.within, area(0.75)) and torch.equal(batch.of_image(0).within, area(0.25))


def test_an_image_without_faces_keeps_its_area():
    assert torch.equal(aligned(0, within=area(0.25, 0.75)).of_image(1).within, area(0.75))


@pytest.mark.parametrize(
    ("within", "expected"), [(None, None), (area(0.5), area(0.5, 0.5, 0.5)), (area(0.25, 0.5, 0.75), area(0.25, 0.5, 0.75))]
)
def test_taking_apart_and_joining_gives_the_same_faces_and_areas(within, expected):
    batch = aligned(0, 2, 2, within=within)
    again = AlignedFaces.joined([batch.of_image(index) for index in range(3)])
    assert again.faces == batch.faces and torch.equal(again.crops, batch.crops)
    assert again.within is None if expected is None else torch.equal(again.within, expected)


def test_one_area_serves_every_image():
    batch = aligned(0, 1, within=area(0.5))
    assert all(torch.equal(batch.of_image(index).within, area(0.5)) for index in range(2))
