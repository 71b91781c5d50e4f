"""Crops go back where they came from, like the reference's, and nothing else in the image changes."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from half_face_parser import HalfFaceParser
from PIL import Image

from codeformer_core import fix_faces
from codeformer_core.align import FFHQ_TEMPLATE, align
from codeformer_core.faces import Face
from codeformer_core.masks.styles import MASKS
from codeformer_core.options import FixOptions
from codeformer_core.paste import paste


class Inversion:
    """What stands in for a network in the golden outputs."""

    side, task = 512, "restoration"

    def restore(self, crops, fidelity, match_style):
        return 1 - crops


def posed(x: float, y: float, size: float, degrees: float = 0.0, image: int = 0) -> Face:
    """A face whose crop has its centre at (x, y) and covers `size` pixels."""
    turn = math.radians(degrees)
    cos, sin = size / 512 * math.cos(turn), size / 512 * math.sin(turn)
    offsets = [(u - 255.5, v - 255.5) for u, v in FFHQ_TEMPLATE.tolist()]
    points = tuple((x + cos * u - sin * v, y + sin * u + cos * v) for u, v in offsets)
    return Face(image, (x - size / 3, y - size / 3, x + size / 3, y + size / 3), points, 0.9)


@pytest.fixture
def images() -> torch.Tensor:
    noise = torch.rand(2, 3, 40, 60, generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(noise, size=(300, 420), mode="bicubic").clamp(0, 1)


FACES = [posed(110, 140, 130, 12), posed(300, 150, 160, -25), posed(0, 20, 120, 5, image=1)]


def golden_image(data: Path, photo: str, upscale: int) -> np.ndarray:
    """(H, W, 3) of the reference: the recorded areas around the faces, in the photograph as the reference enlarges it."""
    stem = photo.split(".")[0]
    whole = cv2.imread(str(data / "photos" / photo))[..., ::-1]
    whole = cv2.resize(whole, None, fx=upscale, fy=upscale, interpolation=cv2.INTER_LINEAR).astype(np.float64)
    recorded = np.asarray(Image.open(data / "pipeline" / f"{stem}_inverted_x{upscale}.webp"))
    for x0, y0, x1, y1 in json.loads((data / "pipeline" / f"{stem}.json").read_text())[f"stored_x{upscale}"]:
        whole[y0:y1, x0:x1] = recorded[y0:y1, x0:x1]
    return whole


@pytest.mark.parametrize("upscale", [1, 2])
@pytest.mark.parametrize("stem", ["astronaut_1face.png", "nasa_sts114_crew_7faces.jpg"])
def test_pasted_images_match_the_reference(data, photo, known_faces, stem, upscale):
    image = photo(f"photos/{stem}")
    options = FixOptions(upscale=upscale, mask="square", sampling="reference")
    fixed = fix_faces(image, known_faces, Inversion(), options)
    golden = golden_image(data, stem, upscale)
    difference = np.abs(fixed.images[0].permute(1, 2, 0).numpy() * 255 - golden)
    assert difference.mean() < 0.3
    assert difference.max() < 10  # the reference's is 8-bit: a few levels where the mask is steep
    if upscale == 1:
        outside = (fixed.mask == 0).expand_as(image)
        assert outside.float().mean() > 0.5
        assert torch.equal(fixed.images[outside], image[outside])


@pytest.mark.parametrize("style", MASKS)
def test_pixels_outside_the_mask_are_bit_identical(images, style):
    aligned = align(images, FACES)
    before = images.clone()
    pasted, mask = paste(images, aligned.with_crops(1 - aligned.crops), style, HalfFaceParser())
    assert torch.equal(images, before)
    assert pasted.shape == images.shape and pasted.dtype == images.dtype and mask.shape == (2, 1, 300, 420)
    outside = (mask == 0).expand_as(images)
    assert torch.equal(pasted[outside], images[outside])
    assert (mask[0] > 0).any() and (mask[1] > 0).any() and mask.max() <= 1
    changed = (pasted - images).abs().amax(1, keepdim=True) > 0.05
    assert not (changed & (mask < 0.01)).any()


@pytest.mark.parametrize("style", ["square", "box"])
def test_unchanged_crops_reproduce_the_image(images, style):
    aligned = align(images, FACES)
    pasted, _ = paste(images, aligned, style)
    assert (pasted - images).abs().mean() < 2e-3


def test_the_mask_is_one_in_the_middle_of_a_crop_and_fades_at_its_border(images):
    for style in ("square", "box"):
        _, mask = paste(images, align(images, [posed(210, 150, 200)]), style)
        assert mask[0, 0, 150, 210] == pytest.approx(1, abs=1e-3)
        profile = mask[0, 0, 150, 105:215]
        assert (profile.diff() >= -1e-6).all() and profile.diff().max() < 0.15


def test_the_face_style_follows_the_parser_s_labels(images):
    aligned = align(images, [posed(210, 150, 200)])
    _, square = paste(images, aligned, "square")
    _, parts = paste(images, aligned, "face", HalfFaceParser())
    assert (parts <= square + 1e-6).all()
    assert parts[0, 0, 150, 160] > 0.9 and parts[0, 0, 150, 260] < 0.01


def test_the_paste_mask_is_multiplied_by_each_face_s_own(images):
    aligned = align(images, [posed(210, 150, 200)])
    _, full = paste(images, aligned)
    _, half = paste(images, aligned.with_masks(aligned.masks * 0.5))
    assert half.max() == pytest.approx(0.5, abs=1e-3) and full.max() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("scale", [2, 1.5, 3])
def test_faces_keep_their_position_in_an_enlarged_image(images, scale):
    large = torch.nn.functional.interpolate(images, scale_factor=scale, mode="bilinear")
    aligned = align(images, FACES)
    pasted, mask = paste(large, aligned, "box")
    assert pasted.shape == large.shape
    assert (pasted - large).abs().mean() < 0.01
    places = (mask[0, 0] > 0.5).nonzero().double().mean(0)
    before = (paste(images, aligned, "box")[1][0, 0] > 0.5).nonzero().double().mean(0)
    assert torch.allclose(places, (before + 0.5) * scale - 0.5, atol=0.1 * scale)


def test_upscaled_crops_are_pasted_at_the_same_position(images):
    aligned = align(images, [posed(210, 150, 200)])
    double = torch.nn.functional.interpolate(aligned.crops, scale_factor=2, mode="bilinear")
    assert (paste(images, aligned.with_crops(double))[0] - paste(images, aligned)[0]).abs().max() < 0.01


PEAK = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from codeformer_core.align import FFHQ_TEMPLATE, align
from codeformer_core.faces import Face
from codeformer_core.options import FixOptions
from codeformer_core.paste import paste

def kilobytes(name):  # of this program alone: getrusage's peak is inherited from the one that started it
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

def faces(*places):
    return [Face(0, (0, 0, 9, 9), tuple((x + u * 0.4, y + v * 0.4) for u, v in FFHQ_TEMPLATE.tolist()), 0.9) for x, y in places]

small, images = torch.rand(1, 3, 300, 300), torch.full((1, 3, 2000, 2400), 0.5)  # grey: the whole of it is looked at
aligned = align(small, faces((20, 30)))
paste(small, aligned)  # what is needed once
before = kilobytes("VmRSS")
aligned = align(images, faces((100, 100), (1500, 900), (2100, 1700)))
print(kilobytes("VmHWM") - before)
result = paste(images, aligned)
print(kilobytes("VmHWM") - before - (result[0].nbytes + result[1].nbytes) // 1024, images.nbytes // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc to measure resident memory")
def test_aligning_and_pasting_need_less_memory_than_half_an_image():
    root = Path(__file__).resolve().parent.parent
    exact = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}  # what is freed is given back at once
    command = [sys.executable, "-c", PEAK, str(root)]
    run = subprocess.run(command, env=os.environ | exact, capture_output=True, text=True, check=True)
    aligning, pasting, image = map(int, run.stdout.split())
    assert max(aligning, pasting) < image / 2  # with three faces


def test_large_faces_are_pasted_into_half_precision_images():
    images = torch.full((1, 3, 400, 500), 0.5)
    aligned = align(images, [posed(250, 200, 380)], side=64)
    single = paste(images, aligned.with_crops(torch.ones_like(aligned.crops)))[1]
    aligned = align(images.half(), [posed(250, 200, 380)], side=64)
    pasted, mask = paste(images.half(), aligned.with_crops(torch.ones_like(aligned.crops)))
    assert pasted.dtype == torch.half and (mask - single).abs().max() < 0.002


def test_without_faces_paste_returns_the_same_tensor(images):
    pasted, mask = paste(images, align(images, []))
    assert pasted is images and mask.shape == (2, 1, 300, 420) and not mask.any()


def test_images_of_another_aspect_ratio_are_refused(images):
    with pytest.raises(ValueError, match="Found images of 420 x 200, but the faces were found in 420 x 300"):
        paste(images[:, :, :200], align(images, FACES))


def test_fewer_images_than_the_faces_come_from_are_refused(images):
    with pytest.raises(ValueError, match="Found a face of image 2 and a batch of 1"):
        paste(images[:1], align(images, FACES))


def test_a_missing_parser_and_an_unknown_mask_style_are_refused(images):
    with pytest.raises(ValueError, match="needs a face parser and there is none"):
        paste(images, align(images, FACES), "face")
    with pytest.raises(ValueError, match="'round' is no mask style. Use one of: auto, square, face, box, oval"):
        paste(images, align(images, FACES), "round")


def test_a_face_smaller_than_a_pixel_needs_no_large_border(images, monkeypatch):
    aligned = align(images, [posed(100, 100, 0.001)])
    repeated = []
    original = cv2.copyMakeBorder
    monkeypatch.setattr(cv2, "copyMakeBorder", lambda plane, *by: repeated.append(by[0]) or original(plane, *by))
    pasted, mask = paste(images, aligned)
    assert max(repeated) <= 512 and not mask.any() and torch.equal(pasted, images)


@pytest.mark.parametrize("mask", ["square", "box", "oval"])
@pytest.mark.parametrize("crop", [32, 64, 100, 256])
@pytest.mark.parametrize("size", [14, 30, 50, 300])
def test_no_black_is_blended_in_from_beyond_the_border_of_a_crop(mask, crop, size):
    white = torch.ones(1, 3, 400, 400)
    aligned = align(white, [posed(200, 190, size, 20)], side=64)
    pasted, weight = paste(white, aligned.with_crops(torch.ones(1, 3, crop, crop)), mask)
    assert (weight > 0).any() and torch.allclose(pasted, white, atol=1e-6)


@pytest.mark.parametrize("style", ["square", "box"])
def test_keep_detail_reproduces_the_image_from_unchanged_crops(style):
    noise = torch.rand(1, 3, 90, 120, generator=torch.Generator().manual_seed(0))
    pasted, _ = paste(noise, align(noise, [posed(60, 45, 30, 10), posed(20, 20, 60)], side=64), style, keep_detail=True)
    assert (pasted - noise).abs().max() < 1e-5


def test_keep_detail_leaves_pixels_outside_the_mask_bit_identical(images):
    aligned = align(images, FACES)
    pasted, mask = paste(images, aligned.with_crops(1 - aligned.crops), keep_detail=True)
    outside = (mask == 0).expand_as(images)
    assert torch.equal(pasted[outside], images[outside]) and not torch.equal(pasted, images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("keep_detail", [False, True])
def test_crops_and_images_may_have_different_dtypes(dtype, keep_detail):
    images = torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(0))
    aligned = align(images, [posed(80, 60, 70)], 64)
    restored = aligned.with_crops(1 - aligned.crops)
    expected, expected_mask = paste(images, restored, keep_detail=keep_detail)
    mixed, mask = paste(images.to(dtype), restored, keep_detail=keep_detail)
    assert mixed.dtype == mask.dtype == dtype
    tolerance = 0.05 if dtype != torch.float64 else 1e-5
    assert (mixed.float() - expected).abs().max() < tolerance and (mask.float() - expected_mask).abs().max() < tolerance
    outside = (mask == 0).expand_as(mixed)
    assert torch.equal(mixed[outside], images.to(dtype)[outside])
    back, _ = paste(images, aligned.with_crops(restored.crops.to(dtype)), keep_detail=keep_detail)
    assert back.dtype == torch.float32 and (back - expected).abs().max() < tolerance


@pytest.mark.parametrize(("field", "named"), [("crops", "face 2"), ("masks", "mask 2"), ("within", "mask 1")])
def test_crops_and_masks_that_are_not_finite_are_refused(images, field, named):
    aligned = align(images, [posed(100, 100, 60), posed(200, 120, 60)], 64)
    value = torch.ones(1, 1, *images.shape[-2:]) if field == "within" else getattr(aligned, field).clone()
    value[-1, 0, 3, 4] = torch.nan
    with pytest.raises(RuntimeError, match=rf"not finite \(NaN or infinity\) in {named}, so nothing was pasted"):
        paste(images, replace(aligned, **{field: value}))
