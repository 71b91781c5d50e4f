"""Match grain: the noise inside a pasted face is that around it, clean images get none, and nothing else changes."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fake_cuda import DEVICE, FakeCuda
from PIL import Image

from codeformer_core import pipeline
from codeformer_core.align import FFHQ_TEMPLATE
from codeformer_core.faces import Face
from codeformer_core.imaging.grain import lacking_grain
from codeformer_core.imaging.morphology import blur
from codeformer_core.imaging.resize import rescale
from codeformer_core.networks.encoded import EncodedFaces
from codeformer_core.options import FixOptions
from codeformer_core.pipeline import fix_aligned, fix_faces
from codeformer_core.video import stages
from codeformer_core.video.pipeline import fix_frames

SIDE = 320


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def white(channels: int = 3) -> torch.Tensor:
    return torch.randn(1, channels, SIDE, SIDE, generator=seeded(4)).expand(-1, 3, -1, -1)


#: Kinds of noise, of a standard deviation of 1.
NOISES = {
    "camera": white(),
    "film": (film := F.avg_pool2d(white(1), 3, 1, 1)) / film.std(),
    "sepia": white(1) * torch.tensor([1.2, 1.0, 0.7]).reshape(1, 3, 1, 1),
    "blue": white() * torch.tensor([0.7, 0.7, 1.5]).reshape(1, 3, 1, 1),
}


def portrait() -> torch.Tensor:
    """A photograph out of focus, without noise."""
    y, x = torch.meshgrid(torch.linspace(0, 1, SIDE), torch.linspace(0, 1, SIDE), indexing="ij")
    circle = ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.06).float()
    return blur((0.3 + 0.2 * x + 0.3 * circle)[None, None], 8.0, 24).expand(1, 3, -1, -1).clone()


def level(image: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The noise of each channel of an image (3, H, W), in levels of 255: the median deviation from the smoothed image."""
    rest = image - blur(image[:, None], 3.0, 9)[:, 0]
    return torch.stack([channel[where].abs().median() for channel in rest]) / 0.6745 * 255


class OneFace:
    """A detector that finds one face, in the middle and a little turned, in every image."""

    def detect(self, images, options=None):
        turn = math.radians(11)
        cos, sin = (size / 512 * 200 for size in (math.cos(turn), math.sin(turn)))
        offsets = [(u - 255.5, v - 255.5) for u, v in FFHQ_TEMPLATE.tolist()]
        points = tuple((160 + cos * u - sin * v, 160 + sin * u + cos * v) for u, v in offsets)
        return [Face(index, (95.0, 95.0, 225.0, 225.0), points, 0.9) for index in range(len(images))]


class Smooth:
    """A restorer that takes the noise away."""

    side = 512

    def restore(self, crops, fidelity, match_style):
        return blur(crops.flatten(0, 1)[:, None], 5.0, 15).reshape(crops.shape)

    def encode_faces(self, crops, fidelity):
        return EncodedFaces(crops.new_zeros(len(crops), 0, 0), crops, {})

    def decode_faces(self, encoded, fidelity, match_style):
        return self.restore(encoded.features, fidelity, match_style)


OPTIONS = FixOptions(mask="square", match_grain=True, keep_detail="off")


def fixed(image: torch.Tensor, **options):
    return fix_faces(image, OneFace(), Smooth(), replace(OPTIONS, **options))


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("sigma", [4, 12])
def test_the_noise_in_the_face_is_that_around_it(kind, sigma):
    image = (portrait() + NOISES[kind] * sigma / 255).clamp(0, 1)
    done = fixed(image)
    inside, outside = done.mask[0, 0] == 1, done.mask[0, 0] == 0
    around = level(image[0], outside)
    assert torch.allclose(level(done.images[0], inside), around, rtol=0.2)
    assert float((level(fixed(image, match_grain=False).images[0], inside) / around).max()) < 0.5
    edge = (done.mask[0, 0] > 0.3) & (done.mask[0, 0] < 0.7)
    assert torch.allclose(level(done.images[0], edge), around, rtol=0.25)
    assert torch.equal(done.images[0][:, outside], image[0][:, outside])


def test_the_spectrum_is_that_of_the_image():
    """Coarse grain stays coarse: neighbouring pixels depend on each other as much as around the face."""
    image = (portrait() + NOISES["film"] * 12 / 255).clamp(0, 1)
    done = fixed(image)

    def correlation(pixels: torch.Tensor, where: torch.Tensor) -> float:
        rest = (pixels - blur(pixels[:, None], 3.0, 9)[:, 0])[1]
        both = where[:, 1:] & where[:, :-1]
        return float(torch.corrcoef(torch.stack([rest[:, 1:][both], rest[:, :-1][both]]))[0, 1])

    around, inside = correlation(image[0], done.mask[0, 0] == 0), correlation(done.images[0], done.mask[0, 0] == 1)
    assert around > 0.4 and inside == pytest.approx(around, abs=0.1)


def test_a_grey_image_stays_grey_and_the_grain_is_the_same_in_every_run():
    image = (portrait() + NOISES["film"] * 12 / 255).clamp(0, 1)
    done = fixed(image)
    assert torch.equal(done.images[:, :1].expand(-1, 3, -1, -1), done.images)
    assert torch.equal(done.images, fixed(image).images)


def test_faces_that_are_not_tested_for_harm_are_pasted_once(monkeypatch):
    counts = []
    for module in (pipeline, stages):
        paste = module.paste
        monkeypatch.setattr(module, "paste", lambda *values, paste=paste: counts.append(1) or paste(*values))
    fixed(portrait())
    fix_frames(portrait(), OneFace(), Smooth(), OPTIONS)
    assert len(counts) == 2


def test_a_clean_image_gets_none(photo):
    assert torch.equal(fixed(portrait()).images, fixed(portrait(), match_grain=False).images)
    face = photo("photos/camera_gray_L_1face.png")[0, :, 20:160, 60:200]
    drawn = blur(face[:, None], 1.5, 5)[:, 0]
    for quality in (95, 75, 50, 30, 10):
        file = io.BytesIO()
        Image.fromarray((face * 255).byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        compressed = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float() / 255
        grain = lacking_grain(compressed, drawn, torch.ones_like(face[:1]), seeded())
        assert grain is None or float(grain.std()) < 2 / 255


def test_what_has_noise_gets_no_more():
    image = (portrait() + NOISES["camera"] * 12 / 255).clamp(0, 1)
    own = (portrait() + white().flip(-1) * 12 / 255).clamp(0, 1)
    grain = lacking_grain(image[0], own[0], torch.ones(1, SIDE, SIDE), seeded())
    assert grain is None or float(grain.std()) < 4 / 255  # variances add up: 12 levels become 12.6


@pytest.mark.parametrize("scale", [1.5, 2.0])
def test_in_an_enlarged_image_the_grain_is_as_coarse_as_it_is_there(scale):
    image = (portrait() + NOISES["camera"] * 12 / 255).clamp(0, 1)
    done, background = fixed(image, upscale=scale), rescale(image, scale, "exact")
    inside, outside = done.mask[0, 0] == 1, done.mask[0, 0] == 0
    assert torch.allclose(level(done.images[0], inside), level(background[0], outside), rtol=0.2)
    assert torch.equal(done.images[0][:, outside], background[0][:, outside])


def test_every_frame_has_its_own_grain_and_every_run_the_same():
    frames = (portrait() + NOISES["camera"] * 12 / 255).clamp(0, 1).repeat(3, 1, 1, 1)
    options = replace(OPTIONS, steady=False)
    done = fix_frames(frames, OneFace(), Smooth(), options)
    assert not torch.equal(done.images[0], done.images[1]) and not torch.equal(done.images[1], done.images[2])
    assert torch.equal(done.images, fix_frames(frames, OneFace(), Smooth(), replace(options, chunk=1)).images)
    inside = done.mask[2, 0] == 1
    assert torch.allclose(level(done.images[2], inside), level(frames[2], done.mask[2, 0] == 0), rtol=0.2)


def test_an_image_that_is_a_face_gets_it_too():
    image = (portrait() + NOISES["camera"] * 12 / 255).clamp(0, 1)
    noisy = F.interpolate(image, size=512)
    done = fix_aligned(noisy, Smooth(), OPTIONS)
    everywhere = torch.ones(512, 512, dtype=torch.bool)
    assert torch.allclose(level(done.images[0], everywhere), level(noisy[0], everywhere), rtol=0.2)


@pytest.mark.parametrize("size", [(1, 1), (20, 400), (33, 33)])
def test_small_regions_are_no_error(size):
    part = torch.rand(3, *size, generator=seeded())
    grain = lacking_grain(part, part * 0 + 0.5, torch.ones(1, *size), seeded())
    assert grain is None or grain.shape == part.shape


def test_a_simulated_device_adds_the_same_grain():
    image = (portrait() + NOISES["camera"] * 12 / 255).clamp(0, 1)[0]
    near = lacking_grain(image, portrait()[0], torch.ones(1, SIDE, SIDE), seeded())
    with FakeCuda():
        far = lacking_grain(image.to(DEVICE), portrait()[0].to(DEVICE), torch.ones(1, SIDE, SIDE).to(DEVICE), seeded())
        assert far is not None and near is not None and torch.equal(far.cpu(), near)
