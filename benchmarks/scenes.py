"""Synthetic, seeded images, faces, crops and clips."""

import math
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import torch
import torch.nn.functional as F
from torch import Tensor

from codeformer_core.align import template
from codeformer_core.faces import Face

#: A crop covers this fraction of the image's shorter side, as in a photo of a group: 180 pixels at 1080, 500 at 3000.
CROP = 1 / 6

#: Largest in-plane rotation of a face, in degrees.
MAX_ROTATION = 15.0

#: Frames of a clip, unless a case says otherwise.
FRAMES = 12


class Scene(NamedTuple):
    """An image (1, 3, H, W) RGB in [0, 1], in steps of 1/255, and where its faces are."""

    image: Tensor
    faces: list[Face]


def scene(size: tuple[int, int], faces: int) -> Scene:
    """An image of (width, height) pixels with `faces` faces of equal size in rows."""
    width, height = size
    columns = math.ceil(math.sqrt(faces * width / height))
    rows = math.ceil(faces / columns)
    side = CROP * min(size)
    places = (((index % columns + 0.5) * width / columns, (index // columns + 0.5) * height / rows) for index in range(faces))
    return Scene(image(size), [_face(x, y, side, MAX_ROTATION * math.sin(index)) for index, (x, y) in enumerate(places)])


def image(size: tuple[int, int]) -> Tensor:
    """Soft colours with a little noise, (1, 3, height, width) in [0, 1], in steps of 1/255."""
    generator = torch.Generator().manual_seed(0)
    soft = F.interpolate(torch.rand(1, 3, 27, 36, generator=generator), size=size[::-1], mode="bicubic")
    return (soft + torch.rand(1, 1, *size[::-1], generator=generator) * 0.05).mul_(255).round_().clamp_(0, 255).div_(255)


def crops(count: int, side: int) -> Tensor:
    """Crops (count, 3, side, side) in [0, 1]."""
    return image((side, side * count)).unflatten(2, (count, side)).transpose(1, 2)[0].contiguous()


def _face(x: float, y: float, side: float, degrees: float) -> Face:
    """A face whose crop has its centre at (x, y), covers `side` pixels and is rotated."""
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    points = (template(512) - 255.5) * (side / 512) @ turn + torch.tensor([x, y], dtype=torch.float64)
    box = (*points.amin(0).tolist(), *points.amax(0).tolist())
    return Face(0, box, tuple((u, v) for u, v in points.tolist()), 0.99)


def clip(path: Path, size: tuple[int, int], frames: int = FRAMES) -> None:
    """A video in which the image scrolls, written to `path`."""
    width, height = (side // 2 * 2 for side in size)  # even: yuv420p
    pixels = image((width, height))[0].permute(1, 2, 0).mul(255).byte()
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(FRAMES), options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(pixels.roll(4 * index, 1).numpy(), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
