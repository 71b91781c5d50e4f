"""Masks over images: of the right kind where they are given, and of the images' proportions before any network runs."""

import numpy as np
import pytest
import torch

from codeformer_core import Extras, FixOptions, fix_faces
from codeformer_core.pipeline import fix_aligned

MASKS = ("inside", "keep_out", "fidelity_mask")
IMAGES = torch.rand(2, 3, 60, 90)
HALF = torch.linspace(0, 1, 60).expand(1, 1, 60, 60)


class Unused:
    """A detector and restorer that must not be called."""

    side = 64


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.zeros((60, 90)), r"Found a ndarray of shape \(60, 90\) as {}. Expected a tensor \(1 or B, 1, h, w\)"),
        (torch.zeros(60, 90), r"Found a Tensor of shape \(60, 90\) as {}.* torch.from_numpy\(mask\)\[None, None\]"),
        (torch.zeros(1, 3, 60, 90), r"shape \(1, 3, 60, 90\) as {}"),
        (torch.full((1, 1, 60, 90), 255.0), "Found values from 255 to 255 in {}. Expected"),
        (torch.full((1, 1, 60, 90), 1 + 2**-20), "Found values from 1.00000095 to 1.00000095 in {}. Expected .* clamp"),
        (torch.full((1, 1, 60, 90), torch.nan), "Found values from nan to nan in {}"),
    ],
    ids=["NumPy", "2-D", "colours", "8 bits", "rounded", "NaN"],
)
def test_what_is_no_mask_is_refused_where_it_is_given(name, mask, says):
    with pytest.raises(ValueError, match=says.format(name)):
        Extras(**{name: mask})


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (HALF, "Found a mask of 60 x 60 as {} for images of 90 x 60. Expected the same proportions"),
        (torch.zeros(3, 1, 60, 90), "Found 3 masks as {} for 2 images. Expected one, or one for each image"),
    ],
    ids=["proportions", "number"],
)
@pytest.mark.parametrize("fixing", [lambda extras: fix_faces(IMAGES, Unused(), Unused(), FixOptions(upscale=2), extras),
                                    lambda extras: fix_aligned(IMAGES, Unused(), FixOptions(), extras)])  # fmt: skip
def test_a_mask_that_does_not_fit_is_refused_before_the_work(name, mask, says, fixing):
    with pytest.raises(ValueError, match=says.format(name)):
        fixing(Extras(**{name: mask}))


@pytest.mark.parametrize(
    "mask", [torch.ones(1, 1, 8, 8), torch.rand(2, 1, 20, 30) > 0.5, torch.rand(1, 1, 40, 61)], ids=["even", "bool", "rounded"]
)
def test_a_mask_that_is_alike_all_over_or_has_the_proportions_fits(mask):
    Extras(keep_out=mask).check_images(IMAGES)


@pytest.mark.parametrize(("mask", "image"), [((200, 300), (33, 50)), ((33, 50), (200, 300))], ids=["smaller", "larger"])
def test_a_mask_of_the_photo_that_an_image_was_resized_from_fits(mask, image):
    Extras(keep_out=torch.rand(1, 1, *mask)).check_images(torch.zeros(1, 3, *image))
    with pytest.raises(ValueError, match="Expected the same proportions"):
        Extras(keep_out=torch.rand(1, 1, *mask)).check_images(torch.zeros(1, 3, image[0], image[1] * 11 // 10))
