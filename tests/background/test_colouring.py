"""Whole photos get a network's hues and keep their luminance; faces fade into the hues around them."""

from dataclasses import replace

import cv2
import pytest
import torch
from fake_cuda import DEVICE, FakeCuda

from codeformer_core.align import align
from codeformer_core.background.colouring import blend_hues, colour_images
from codeformer_core.imaging import lab
from codeformer_core.options import FixOptions
from codeformer_core.pipeline import apply_to_faces


class Hue:
    """A colorizer that gives every photo one hue."""

    side = 64

    def __init__(self, a: float, b: float) -> None:
        self.ab = torch.tensor([float(a), float(b)]).reshape(1, 2, 1, 1)

    def chroma(self, grey):
        assert grey.shape[1:] == (1, 64, 64) and grey.min() >= 0 and grey.max() <= 1
        return self.ab.expand(len(grey), -1, 64, 64)


def ramp(levels: int = 256) -> torch.Tensor:
    return (torch.arange(levels) / (levels - 1)).reshape(1, 1, -1, 16).expand(-1, 3, -1, -1)


def test_lab_is_the_one_of_others_and_comes_back():
    images = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    both = lab.from_luminance_and_chroma(lab.relative_luminance(images), lab.chroma(images))
    assert torch.allclose(both, images, atol=1e-5)
    for image, ab in zip(images, lab.chroma(images), strict=True):
        others = cv2.cvtColor(image.movedim(0, -1).numpy(), cv2.COLOR_RGB2Lab)[..., 1:]
        assert abs(others - ab.movedim(0, -1).numpy()).max() < 0.5
    assert torch.equal(lab.chroma(ramp()).abs() < 1e-2, torch.ones(1, 2, 16, 16, dtype=torch.bool))


@pytest.mark.parametrize("ab", [(24, 16), (-60, 50), (90, -110)])
def test_the_luminance_stays_whatever_the_hue_also_with_16_bits(ab):
    grey = ramp(65536)
    coloured = colour_images(grey, Hue(*ab))
    assert coloured.min() >= 0 and coloured.max() <= 1 and not torch.allclose(coloured[:, 0], coloured[:, 2], atol=0.01)
    luminance = lab.grey(lab.relative_luminance(coloured))
    assert float((luminance - grey[:, :1]).abs().max()) < 0.1 / 255
    stored = (coloured * 65535).round() / 65535
    assert float((lab.grey(lab.relative_luminance(stored)) - grey[:, :1]).abs().max()) < 0.2 / 255


def test_the_hue_is_the_networks_and_a_tint_goes_away():
    sepia = torch.full((1, 3, 300, 20), 0.5) * torch.tensor([1.1, 1.0, 0.8]).reshape(1, 3, 1, 1)
    coloured = colour_images(sepia, Hue(20, 10))
    assert torch.allclose(
        lab.chroma(coloured), torch.tensor([20.0, 10.0]).reshape(1, 2, 1, 1).expand(-1, -1, 300, 20), atol=0.1
    )


@pytest.fixture
def photo_and_face(photo, known_faces):
    image = photo("photos/camera_gray_L_1face.png")
    return image, align(image, known_faces.detect(image), 512)


def bluish(faces):
    """Faces as a network gives them that disagrees with everything around."""
    return replace(faces, crops=lab.from_luminance_and_chroma(lab.relative_luminance(faces.crops), faces.crops[:, :2] * 0 - 30))


@pytest.mark.parametrize("mask", ["square", "box", "oval"])
@pytest.mark.parametrize("keep", [False, True])
def test_hues_of_face_and_surroundings_agree_at_the_border(photo_and_face, known_faces, mask, keep):
    image, _ = photo_and_face
    painted = colour_images(image, Hue(20, 15))
    options = FixOptions(mask=mask, keep_detail="on" if keep else "off")

    def border(step) -> float:
        fixed = apply_to_faces(image, known_faces, 512, step, options, background=painted)
        seam = ((fixed.mask > 0.05) & (fixed.mask < 0.3)).expand(-1, 2, -1, -1)
        difference = lab.chroma(fixed.images) - lab.chroma(painted)
        assert torch.equal(torch.where(fixed.mask == 0, fixed.images, painted), painted)
        assert float(lab.chroma(fixed.images)[:, 0].min()) < -10  # the face itself has its own hue
        return float(difference[seam].abs().mean())

    assert border(lambda faces: blend_hues(bluish(faces), painted, keep)) < 2.5
    assert mask == "oval" or border(bluish) > 5


def test_the_light_of_the_photo_is_kept_in_the_face_too(photo_and_face):
    image, faces = photo_and_face
    painted = colour_images(image, Hue(20, 15))
    brighter = bluish(replace(faces, crops=(faces.crops * 1.2).clamp(max=1)))
    kept, own = (blend_hues(brighter, painted, keep) for keep in (True, False))
    grey = lab.grey(lab.relative_luminance(faces.originals))
    assert float((lab.grey(lab.relative_luminance(kept.crops)) - grey)[..., 200:400, 200:300].abs().max()) < 2 / 255
    assert float((lab.grey(lab.relative_luminance(own.crops)) - grey)[..., 200:400, 200:300].mean()) > 5 / 255


def test_no_faces_are_no_error(photo_and_face):
    image, faces = photo_and_face
    assert len(blend_hues(faces.subset([]), image)) == 0


def test_a_simulated_device_gives_the_same_photo():
    image = ramp()
    near = colour_images(image, Hue(20, 15))
    with FakeCuda():
        hue = Hue(20, 15)
        hue.ab = hue.ab.to(DEVICE)
        assert torch.equal(colour_images(image.to(DEVICE), hue).cpu(), near)
