"""The images in which faces are chosen by sight."""

import pytest
import torch

from codeformer_core.align import align
from codeformer_core.faces import Face
from codeformer_core.selection.candidates import BLANK, thumbnails_from_crops


@pytest.fixture
def picture():
    """(1, 3, 100, 150): uneven, so that a face in another place would be seen."""
    coarse = torch.rand(1, 3, 10, 15, generator=torch.manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (100, 150), mode="bilinear")


@pytest.fixture
def faces(picture):
    """One face, upright, in crops of 64 pixels."""
    eyes = ((60.0, 40.0), (80.0, 40.0), (70.0, 52.0), (62.0, 62.0), (78.0, 62.0))
    return align(picture, [Face(0, (50.0, 20.0, 90.0, 75.0), eyes, 0.9)], 64)


def test_without_the_picture_the_faces_are_shown_in_their_places(picture, faces):
    shown = thumbnails_from_crops(faces, 1)
    assert shown.shape == picture.shape
    assert (shown[..., 2, 2] == BLANK).all()  # nobody knows what is there
    middle = (..., slice(35, 65), slice(55, 85))
    assert (shown[middle] - picture[middle]).abs().mean() < 0.05 < (shown[middle] - BLANK).abs().mean()
    assert thumbnails_from_crops(faces, 1, largest=75).shape[-2:] == (50, 75)


def test_pictures_beyond_the_first_are_left_out(faces):
    later = faces.faces[0]._replace(image_index=5)
    two = align(torch.rand(6, 3, 100, 150), [faces.faces[0], later], 64)
    assert thumbnails_from_crops(two, 2).shape[0] == 2
