"""On a GPU the faces of images are warped, blurred and pasted together: few kernels, and what comes out face by face."""

import math

import pytest
import torch
from fake_cuda import DEVICE, Cuda
from half_face_parser import HalfFaceParser

from benchmarks.scenes import scene
from codeformer_core.align import FFHQ_TEMPLATE, align, warp_to_crops
from codeformer_core.faces import Face
from codeformer_core.imaging import regions
from codeformer_core.masks.limits import restrict_to, with_opacity
from codeformer_core.masks.styles import MASKS
from codeformer_core.paste import paste, paste_mask

#: The largest difference: coordinates of float32 are rounded at other places.
CLOSE = 1e-6

SIDE = 64


def posed(x: float, y: float, size: float, degrees: float, image: int = 0) -> Face:
    """A face whose crop has its centre at (x, y) and covers `size` pixels."""
    turn = math.radians(degrees)
    cos, sin = size / 512 * math.cos(turn), size / 512 * math.sin(turn)
    offsets = [(u - 255.5, v - 255.5) for u, v in FFHQ_TEMPLATE.tolist()]
    points = tuple((x + cos * u - sin * v, y + sin * u + cos * v) for u, v in offsets)
    return Face(image, (x - size / 3, y - size / 3, x + size / 3, y + size / 3), points, 0.9)


#: In three images of 160 x 120.
CROWD = [
    *(posed(50, 60, 50, 10), posed(75, 55, 60, -20), posed(60, 80, 40, 5), posed(95, 70, 55, 40)),  # over each other
    *(posed(0, 30, 50, 5, 1), posed(158, 117, 60, 30, 1), posed(80, -5, 45, 170, 1), posed(157, 20, 44, 0, 1)),  # the border
    # Of all sizes, and so with other numbers of samples; the second covers the first, and the fourth the second.
    *(posed(110, 20, 30, -40, 2), posed(80, 60, 100, 3, 2), posed(20, 20, 5, 20, 2), posed(60, 90, 34, 9, 2)),
    *(posed(150, 100, 0.5, 0, 2), posed(40, 100, 38, 80, 1)),
]


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    noise = torch.rand(3, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(noise, size=(120, 160), mode="bicubic")
    return (smooth + torch.randn(3, 3, 120, 160, generator=torch.Generator().manual_seed(1)) * 0.03).clamp(0, 1)


#: Masks over the images: half of them, softly.
AREA = torch.linspace(1.5, -0.5, 16).clamp(0, 1).expand(1, 1, 12, 16)


def aligned_as(images, faces, sampling="exact"):
    found = align(images, faces, SIDE, sampling)
    return found.with_crops(1 - found.crops)


WAYS = {
    **{
        style: lambda images, faces, style=style: paste(images, aligned_as(images, faces), style, HalfFaceParser())
        for style in MASKS
    },
    "reference": lambda images, faces: paste(images, aligned_as(images, faces, "reference"), "square"),
    "detail": lambda images, faces: paste(images, aligned_as(images, faces), "square", keep_detail="on"),
    "detail of some": lambda images, faces: paste(
        images, aligned_as(images, faces).with_crops(images.new_ones(len(faces), 3, 512, 512)), "square", keep_detail="auto"
    ),
    "grain": lambda images, faces: paste(images, aligned_as(images, faces), "square", grain=0),
    "within": lambda images, faces: paste(images, restrict_to(aligned_as(images, faces), AREA), "square"),
    "opacity": lambda images, faces: paste(
        images, with_opacity(aligned_as(images, faces), torch.linspace(0.2, 1, len(faces))), "oval"
    ),
    "enlarged": lambda images, faces: paste(
        images.repeat_interleave(2, 2).repeat_interleave(2, 3), aligned_as(images, faces), "box"
    ),
    "crops": lambda images, faces: (
        align(images, faces, SIDE).crops,
        warp_to_crops(images[:1, :1], align(images, faces, SIDE)),
    ),
    "union": lambda images, faces: (paste_mask(aligned_as(images, faces), 3, "square"),),
}


@pytest.mark.parametrize("way", WAYS)
def test_faces_together_are_what_they_are_one_by_one(images, monkeypatch, way):
    with Cuda() as device:
        there = images.to(DEVICE)
        device.kernels = 0
        together = [part.cpu() for part in WAYS[way](there, CROWD)]
        few = device.kernels
        monkeypatch.setattr(regions, "MOST_SAMPLES", 0)
        device.kernels = 0
        alone = [part.cpu() for part in WAYS[way](there, CROWD)]
        assert few < device.kernels
    for one, other in zip(together, alone, strict=True):
        assert (one - other).abs().mean() < CLOSE and (one - other).abs().max() < 50 * CLOSE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_faces_of_half_precision_together_are_near_those_of_float32(images, dtype):
    with Cuda():
        full, mask = paste(images.to(DEVICE), aligned_as(images.to(DEVICE), CROWD), "square")
        half, coarse = paste(images.to(DEVICE, dtype), aligned_as(images.to(DEVICE, dtype), CROWD), "square")
        assert half.dtype == coarse.dtype == dtype
        for one, other in ((full, half), (mask, coarse)):
            assert (one - other.float()).abs().max().item() < 8 * torch.finfo(dtype).eps


def test_pixels_beyond_the_masks_keep_their_bits_where_regions_were_grown(images):
    images = images.clone()
    images[:, :, ::7, ::5] = -0.0
    with Cuda():
        pasted, mask = (part.cpu() for part in paste(images.to(DEVICE), aligned_as(images.to(DEVICE), CROWD), "square"))
    outside = (mask == 0).expand_as(images)
    assert torch.equal(pasted.view(torch.int32)[outside], images.view(torch.int32)[outside])


@pytest.mark.parametrize(
    ("size", "faces", "aligning", "pasting"), [((320, 200), 1, 38, 49), ((1920, 1080), 4, 66, 61), ((960, 640), 12, 130, 125)]
)
def test_a_further_face_costs_few_kernels(size, faces, aligning, pasting):
    """The table of docs/performance.md: 4 to 6 for a face pasted with others, and a constant for each batch."""
    with Cuda() as device:
        made = scene(size, faces)
        image = made.image.to(DEVICE)
        device.kernels = 0
        aligned = align(image, made.faces, 512)
        assert device.kernels <= aligning
        device.kernels = 0
        paste(image, aligned, "square")
        assert device.kernels <= pasting
