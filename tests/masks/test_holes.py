"""Holes are found where they were painted."""

import cv2
import numpy as np
import torch

from codeformer_core.masks.holes import fade_edges, white_brush_mask


def painted() -> tuple[torch.Tensor, torch.Tensor]:
    """An image of soft colours with two white strokes, and where they are."""
    noise = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0)) * 0.8
    image = torch.nn.functional.interpolate(noise, size=(192, 256), mode="bilinear")
    strokes = torch.zeros(1, 1, 192, 256)
    strokes[..., 40:60, 30:200] = 1
    strokes[..., 100:170, 120:130] = 1
    return torch.where(strokes > 0, torch.ones_like(image), image), strokes


def test_pure_white_is_found_exactly():
    image, strokes = painted()
    assert torch.equal(white_brush_mask(image, tolerance=0), strokes)


def test_brush_strokes_in_a_jpeg_are_found_with_their_rim():
    image, strokes = painted()
    pixels = (image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    _, code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])
    decoded = torch.from_numpy(cv2.imdecode(code, cv2.IMREAD_COLOR)).permute(2, 0, 1)[None].float() / 255
    assert not torch.equal(white_brush_mask(decoded, tolerance=0), strokes)  # the reference's test fails here
    found = white_brush_mask(decoded)
    assert (found[strokes > 0] == 1).all()
    assert found.sum() < 1.4 * strokes.sum()


def test_small_white_specks_are_no_holes():
    image = torch.full((1, 3, 50, 50), 0.4)
    image[..., 20:22, 20:22] = 1
    assert not white_brush_mask(image).any()
    image[..., 30:36, 30:36] = 1
    assert white_brush_mask(image).any()


def test_fading_covers_the_hole_and_ends_at_its_distance():
    hole = torch.zeros(1, 1, 60, 60)
    hole[..., 20:40, 20:40] = 1
    assert torch.equal(fade_edges(hole, 0), hole)
    soft = fade_edges(hole, 6)
    assert (soft[hole > 0] > 0.95).all()
    assert 0 < soft[0, 0, 30, 43] < 1 and soft[0, 0, 30, 47] == 0
