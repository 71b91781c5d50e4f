"""A restorer that returns the true crops, so that what a result lacks was lost by geometry and sampling alone.

An image is shrunk (area averages), its faces are aligned, their crops are replaced by what the full image shows there, and the
faces are pasted. The result is compared inside the faces with what it should be: the full image where the shrunk one was
enlarged again, else the shrunk one itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from codeformer_core.align import align, template
from codeformer_core.faces import AlignedFaces, Face
from codeformer_core.imaging.affine import compose, fit_similarity, resize_affine
from codeformer_core.imaging.resize import rescale
from codeformer_core.paste import paste


class Measured(NamedTuple):
    """PSNR in dB, and gradient energy relative to the truth, of a result and of the background, inside the faces."""

    psnr: float
    energy: float
    background: float


def shrink(image: Tensor, height: int, width: int) -> Tensor:
    """(1, 3, H, W) -> (1, 3, height, width), area averages."""
    pixels = cv2.resize(image[0].permute(1, 2, 0).numpy(), (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


def true_crops(image: Tensor, aligned: AlignedFaces) -> Tensor:
    """What the full image shows in the crops of faces that were aligned in it shrunk: (N, 3, S, S), bicubic, antialiased."""
    height, width = aligned.image_size
    to_crops = compose(resize_affine(width / image.shape[-1], height / image.shape[-2]), aligned.affines)
    crops = []
    for affine in to_crops:
        # Four samples a pixel in each direction, averaged, which antialiases faces that are larger than the crop.
        fine = compose(affine[None], resize_affine(4))[0].numpy()
        side = 4 * aligned.side
        pixels = cv2.warpAffine(
            image[0].permute(1, 2, 0).numpy(), fine, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        crops.append(F.avg_pool2d(torch.from_numpy(pixels).permute(2, 0, 1)[None], 4).clamp(0, 1))
    return torch.cat(crops)


def pasted(
    image: Tensor, faces: Sequence[Face], factor: float, enlarge: bool, sampling: str, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The result, what it should be, the background and the paste mask, on the CPU.

    Args:
        image: (1, 3, H, W), the truth, with its faces.
        factor: how many times it is shrunk before its faces are aligned.
        enlarge: whether the faces are pasted into the shrunk image enlarged again.
        device: where the faces are aligned and pasted.
    """
    height, width = round(image.shape[-2] / factor), round(image.shape[-1] / factor)
    small = shrink(image, height, width)
    placed = [face.scaled(width / image.shape[-1], height / image.shape[-2]) for face in faces]
    aligned = align(small.to(device), placed, sampling=sampling)
    background = small
    if enlarge:
        background = rescale(small, factor, sampling)
        image = image[..., : background.shape[-2], : background.shape[-1]]
    result, mask = paste(background.to(device), aligned.with_crops(true_crops(image, aligned).to(device)), "square")
    return result.cpu(), image if enlarge else small, background, mask.cpu()


def measure(result: Tensor, truth: Tensor, background: Tensor, mask: Tensor) -> Measured:
    """Compare where the mask is 1, to within rounding."""
    inside = (mask > 0.99).expand_as(truth)

    def psnr(image: Tensor) -> float:
        return float(-10 * torch.log10((image - truth)[inside].square().mean()))

    def energy(image: Tensor) -> float:
        steps = image.diff(dim=-1)[..., 1:, :].square() + image.diff(dim=-2)[..., 1:].square()
        return float(steps[inside[..., 1:, 1:]].sum())

    return Measured(psnr(result), energy(result) / energy(truth), psnr(background))


def times_smaller(face: Face) -> float:
    """How many times smaller a face is in its image than in a crop of 512 pixels."""
    affine = fit_similarity(torch.tensor([face.landmarks], dtype=torch.float64), template(512))
    return float(torch.linalg.det(affine[0, :, :2])) ** 0.5
