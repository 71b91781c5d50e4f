"""Alignment: crops in the FFHQ pose as the reference makes them, affine transforms, warping, and the greyscale test."""

import json

import numpy as np
import pytest
import torch
from fake_cuda import DEVICE, Cuda
from PIL import Image

from codeformer_core.align import FFHQ_TEMPLATE, align, template
from codeformer_core.faces import Face
from codeformer_core.imaging.affine import Footprint, _warp_torch, compose, fit_similarity, invert, resize_affine, warp


def rotation(degrees: float, scale: float, x: float, y: float) -> torch.Tensor:
    a = np.deg2rad(degrees)
    linear = [[scale * np.cos(a), -scale * np.sin(a), x], [scale * np.sin(a), scale * np.cos(a), y]]
    return torch.tensor([linear], dtype=torch.float64)


@pytest.mark.parametrize("stem", ["astronaut_1face", "nasa_sts114_crew_7faces"])
def test_affines_and_crops_match_the_reference(data, photo, known_faces, stem):
    folder = data / "pipeline"
    golden = json.loads((folder / f"{stem}.json").read_text())
    images = photo(f"photos/{golden['image']}")
    faces = known_faces.detect(images)
    # Two faces of the crew have nearly the same score, so the order is the golden's, by place.
    ordered = [min(faces, key=lambda f, box=g["box"]: abs(f.box[0] - box[0]) + abs(f.box[1] - box[1])) for g in golden["faces"]]
    aligned = align(images, ordered)
    for affine, expected in zip(aligned.affines, golden["faces"], strict=True):
        expected = torch.tensor(expected["affine"], dtype=torch.float64)
        assert (affine - expected).abs().max() < 1e-3 * expected.abs().max()
    crops = sorted(folder.glob(f"{stem}_crop*.webp"))
    assert crops
    for crop, path in zip(aligned.crops, crops, strict=False):
        expected = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
        assert np.abs(crop.permute(1, 2, 0).numpy() * 255 - expected).mean() < 0.6


def test_a_known_similarity_is_recovered():
    wanted = rotation(23, 1.7, -40, 12)
    points = FFHQ_TEMPLATE @ invert(wanted)[0, :, :2].T + invert(wanted)[0, :, 2]
    assert torch.allclose(fit_similarity(points[None], FFHQ_TEMPLATE), wanted, atol=1e-3)


def test_the_fit_is_robust_against_one_outlier():
    points = FFHQ_TEMPLATE.clone()
    points[2] += 90
    identity = torch.eye(2, 3, dtype=torch.float64)[None]
    assert torch.allclose(fit_similarity(points[None], FFHQ_TEMPLATE), identity, atol=1e-2)


@pytest.mark.parametrize("points", [torch.zeros(1, 5, 2), torch.full((1, 5, 2), float("nan"))], ids=["one place", "nan"])
def test_landmarks_that_fit_no_face_are_refused(points):
    with pytest.raises(ValueError, match="which fit no face. Expected five different points"):
        fit_similarity(points, FFHQ_TEMPLATE)


def test_the_template_scales_with_the_side():
    pixels = torch.rand(1, 3, 512, 512)
    half = template(256)
    assert torch.allclose(half, (FFHQ_TEMPLATE + 0.5) / 2 - 0.5)
    face = Face(0, (0, 0, 512, 512), tuple(map(tuple, FFHQ_TEMPLATE.tolist())), 1.0)
    assert torch.allclose(align(pixels, [face], 256).affines, resize_affine(0.5), atol=1e-4)


def test_composing_with_the_inverse_gives_the_identity():
    affines = torch.cat([rotation(30, 2, 5, 6), rotation(-70, 0.3, -50, 8)])
    identity = torch.eye(2, 3, dtype=torch.float64).expand(2, 2, 3)
    assert torch.allclose(compose(affines, invert(affines)), identity, atol=1e-9)


def test_warp_moves_pixels_where_the_affine_says():
    image = torch.zeros(1, 1, 20, 30)
    image[0, 0, 5, 7] = 1
    moved = warp(image, torch.tensor([[[1.0, 0, 10], [0, 1, 2]]], dtype=torch.float64), 20, 30)
    assert moved[0, 0, 7, 17] == 1 and moved.sum() == 1


@pytest.mark.parametrize("repeat", [0, 7])
@pytest.mark.parametrize("affine", [rotation(17, 0.6, 20, 9), rotation(-40, 3.1, -50, 70), rotation(0, 1, 0.5, 0.25)])
def test_the_opencv_and_torch_warps_agree(affine, repeat):
    image = torch.rand(1, 3, 80, 100, generator=torch.Generator().manual_seed(0))
    smooth, fill = torch.nn.functional.avg_pool2d(image, 5, stride=1, padding=2), torch.tensor([[0.2, 0.4, 0.6]])
    by_cv2 = warp(smooth, affine, 90, 120, fill, repeat=repeat)
    with Cuda():
        by_torch = warp(smooth.to(DEVICE), affine, 90, 120, fill.to(DEVICE), repeat=repeat).cpu()
    assert (by_cv2 - by_torch).abs().mean() < 1e-3
    assert (by_cv2 - by_torch).abs().max() < 0.03  # OpenCV 4 samples at 1/32 of a pixel


@pytest.mark.parametrize("scale", [0.9, 0.55, 0.21, 0.08])
def test_both_antialiased_warps_agree(scale):
    image = torch.rand(1, 3, 301, 400, generator=torch.Generator().manual_seed(0))
    affine, size = rotation(17, scale, 20 * scale, 9), (round(301 * scale), round(400 * scale))
    by_cv2 = warp(image, affine, *size, 0.5, repeat=9, antialias=True)
    with Cuda():
        by_torch = warp(image.to(DEVICE), affine, *size, 0.5, repeat=9, antialias=True).cpu()
    assert (by_cv2 - by_torch).abs().max() < 0.03


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_an_antialiased_warp_is_nearly_the_area_average(factor):
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    warped = warp(image, resize_affine(1 / factor), 256 // factor, 256 // factor, repeat=factor, antialias=True)
    averaged = torch.nn.functional.avg_pool2d(image, factor)
    assert (warped - averaged).abs().mean() < 0.06 * averaged.std()


def test_sharpness_follows_the_scale_without_a_jump():
    noise = torch.rand(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    shrinks = torch.linspace(1.03, 5, 200).tolist()  # in steps of 0.02, past the thresholds for samples and mip levels
    spread = [float(warp(noise, resize_affine(1 / shrink), 100, 100, antialias=True).std()) for shrink in shrinks]
    assert all(0.93 < after / before < 1.05 for before, after in zip(spread, spread[1:], strict=False))


def test_the_border_is_replicated_by_repeat_pixels():
    image = torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    moved = warp(image, torch.tensor([[[1.0, 0, 4], [0, 1, 3]]], dtype=torch.float64), 10, 13, fill=0.5, repeat=2)
    expected = torch.full((1, 1, 10, 13), 0.5)
    expected[:, :, 1:9, 2:11] = torch.nn.functional.pad(image, (2, 2, 2, 2), mode="replicate")
    assert torch.equal(moved, expected)


def test_views_are_warped_like_contiguous_copies():
    image = torch.rand(1, 40, 50, 3, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)  # as the host's are
    part, affine = image[:, :, 5:35, 10:45], rotation(20, 0.8, 3, 4)
    assert torch.equal(warp(part, affine, 30, 30), warp(part.contiguous(), affine, 30, 30))


def test_the_warp_is_exact_under_reduced_precision_matrix_products():
    images = torch.rand(1, 3, 40, 2000, generator=torch.Generator().manual_seed(0))
    affine = rotation(3, 0.7, -900, -20)
    exact = _warp_torch(images, affine, [Footprint()], (40, 60), 0.0)
    with torch.autocast("cpu", torch.bfloat16):  # as TF32, which other packs switch on for the whole process, only coarser
        assert torch.equal(_warp_torch(images, affine, [Footprint()], (40, 60), 0.0), exact)


def test_many_samples_are_taken_in_bands_with_the_same_result(monkeypatch):
    image = torch.rand(1, 3, 200, 300, generator=torch.Generator().manual_seed(0))
    images, affines = torch.cat([image, image.flip(2)]), torch.cat([rotation(20, 0.3, 3, 4), rotation(-9, 0.31, 1, 6)])
    how = images, affines, [Footprint(1, 3, 0.3), Footprint(1, 3, 0.28)], (50, 60), 0.5
    whole = _warp_torch(*how)
    monkeypatch.setattr("codeformer_core.imaging.affine.MOST_SAMPLES", 2 * 7 * 9 * 60)  # of 50 rows seven at a time
    assert torch.equal(_warp_torch(*how), whole)


def test_a_crop_beyond_the_image_is_filled_with_neutral_grey():
    points = tuple((x - 200, y - 200) for x, y in FFHQ_TEMPLATE.tolist())
    crop = align(torch.ones(1, 3, 300, 300), [Face(0, (0, 0, 200, 200), points, 1.0)]).crops[0]
    assert torch.allclose(crop[:, 0, 0] * 255, torch.tensor([133.0, 133, 133]), atol=1)
    assert torch.equal(crop[:, 300, 300], torch.ones(3))


def test_a_face_outside_the_image_is_refused():
    points = tuple((x + 5000, y) for x, y in FFHQ_TEMPLATE.tolist())
    with pytest.raises(ValueError, match="outside the image of 300 x 200"):
        align(torch.ones(1, 3, 200, 300), [Face(0, (5000, 0, 5200, 200), points, 1.0)])


def test_no_faces_give_an_empty_batch_of_crops():
    aligned = align(torch.ones(2, 3, 100, 100), [])
    assert len(aligned) == 0 and aligned.crops.shape == (0, 3, 512, 512) and aligned.affines.shape == (0, 2, 3)


def test_a_face_of_an_image_beyond_the_batch_is_refused():
    face = Face(1, (0, 0, 300, 300), tuple(map(tuple, FFHQ_TEMPLATE.tolist())), 1.0)
    with pytest.raises(ValueError, match="Found a face of image 2 and a batch of 1"):
        align(torch.ones(1, 3, 512, 512), [face])
