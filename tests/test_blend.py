"""Two versions of the same faces are mixed: crops by `blend`, networks by `MixedRestorer`."""

from dataclasses import replace

import pytest
import torch

from codeformer_core import FixOptions, MixedRestorer, fix_faces
from codeformer_core.align import align
from codeformer_core.restoration import blend


class Painter(torch.nn.Module):
    """Draws every face in one level, at its own side."""

    def __init__(self, level: float, side: int) -> None:
        super().__init__()
        self.level, self.side = level, side
        self.seen: list = []

    def restore(self, crops, fidelity, match_style):
        assert crops.shape[-1] == self.side
        self.seen.append((fidelity, match_style))
        return torch.full_like(crops, self.level)

    def memory_used(self, batch, height, width):
        return batch * self.side


@pytest.fixture
def faces(photo, known_faces):
    image = photo("photos/nasa_sts114_crew_7faces.jpg")
    return align(image, known_faces.detect(image)[:2], 64)


def in_level(faces, level, side):
    return faces.with_crops(torch.full((len(faces), 3, side, side), level))


@pytest.mark.parametrize(("ratio", "expected"), [(0, 0.2), (0.25, 0.3), (1, 0.6)])
def test_crops_are_mixed_at_the_larger_side(faces, ratio, expected):
    mixed = blend(in_level(faces, 0.2, 64), in_level(faces, 0.6, 128), ratio)
    assert mixed.crops.shape == (2, 3, 128, 128) and torch.allclose(mixed.crops, torch.tensor(expected))
    assert torch.equal(mixed.affines, faces.affines) and torch.equal(mixed.masks, faces.masks)


def test_a_mask_over_the_image_says_where_the_second_version_goes(faces):
    x = faces.faces[0].centre[0] / faces.image_size[1]
    mask = (torch.arange(400) / 400 > x).float().expand(1, 1, 300, 400)
    crops = blend(in_level(faces, 0.2, 64), in_level(faces, 0.6, 64), 0.5, mask).crops
    assert torch.allclose(crops[0, :, 20:44, :16], torch.tensor(0.2)) and torch.allclose(
        crops[0, :, 20:44, -16:], torch.tensor(0.4)
    )


def test_other_faces_and_other_crops_are_refused(faces):
    for other in (faces.subset([0]), faces.subset([1, 0]), replace(faces, affines=faces.affines + 1)):
        with pytest.raises(ValueError, match=r"Found 2 faces, and \d that are others.*the same Detect Faces"):
            blend(faces, other)
    assert len(blend(faces.subset([]), faces.subset([]))) == 0


def test_two_networks_draw_one_face(photo, known_faces):
    image, first, second = photo("photos/astronaut_1face.png"), Painter(0.2, 64), Painter(0.7, 128)
    mixed = MixedRestorer(first, second, 0.4)
    aligned = fix_faces(image, known_faces, mixed, FixOptions(fidelity=0.3, colour="as restored", always=True)).aligned
    assert aligned.crops.shape == (1, 3, 128, 128) and torch.allclose(aligned.crops, torch.tensor(0.4))
    assert [(float(weight), style) for weight, style in first.seen + second.seen] == [(pytest.approx(0.3), True)] * 2
    assert mixed.memory_used(3, 128, 128) == 3 * 128
    with pytest.raises(ValueError, match=r"mix of 1\.5"):
        MixedRestorer(first, second, 1.5)
