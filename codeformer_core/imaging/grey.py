"""Which images are black and white: by their dominant tint, and by the reference's test."""

from collections.abc import Iterable, Iterator, Sequence
from enum import IntFlag

import torch
import torch.nn.functional as F
from torch import Tensor

from ..faces import Box, Face
from ..runtime.transfer import read_back
from .buffers import strips

#: Rec. 601's luminance of R, G, B. (`colour.LUMINANCE` has one digit more, as the reference where crops are made grey.)
REC601 = (0.299, 0.587, 0.114)

#: For the reference's test: the largest mean of the variances of R-G, G-B and B-R, in levels of 255, squared (is_gray).
GREY_VARIANCE = 10.0

#: For `Grey.AUTO`: how far a cell's chroma may lie from the curve, of white, and the share of the cells that must be as near.
#: Of 150 images of the test data toned in seven ways and saved as JPEG with a quality of 70 all are found (of steep duotones
#: nine in ten), none of the same photographs in colour, and one at half their saturation.
LARGEST_DISTANCE, LARGEST_IN_FACES, SHARE = 3.5 / 255, 4.5 / 255, 0.8

#: An image whose whites are darker is measured as if they had this luminance, since its noise grows with it.
DARK = 0.4

#: Cells along the longer side of an image and of a face; averaging over them removes noise and JPEG's errors.
IMAGE_CELLS, FACE_CELLS = 24, 12

#: Cells to either side, by their luminance, whose median is the curve.
NEIGHBOURS = 8

#: Samples outside are clipped: a toned image bends its curve there.
UNCLIPPED = 8 / 255, 247 / 255


class Grey(IntFlag):
    """By which tests an image is black and white; the names are those of the choices of `FixOptions.grey`."""

    AUTO = 1
    REFERENCE = 2


def grey_tests(images: Tensor, faces: Sequence[Face] = ()) -> tuple[Grey, ...]:
    """Of each image (B, 3, H, W) in [0, 1] the tests by which it is black and white."""
    boxes = [[face.box for face in faces if face.image_index == index] for index in range(len(images))]
    parts = [_parts(image, own) for image, own in zip(images, boxes, strict=True)]
    if images.device.type == "cpu":
        sums: list[Iterable[Tensor]] = [_difference_sums(image) for image in images]  # of strips, most are not needed
    else:  # a GPU is waited for once
        read = iter(read_back(*(cells for own in parts for cells in own), *(next(_difference_sums(image)) for image in images)))
        parts = [[next(read) for _ in own] for own in parts]
        sums = [[of_image] for of_image in read]
    return tuple(
        Grey(Grey.AUTO * _is_toned(own) | Grey.REFERENCE * _is_reference_grey(image, of_image))
        for image, own, of_image in zip(images, parts, sums, strict=True)
    )


def _parts(image: Tensor, boxes: Sequence[Box]) -> list[Tensor]:
    """The cells of an image (3, H, W), and of each face."""
    parts = [_cells(image, IMAGE_CELLS)]
    height, width = image.shape[1:]
    for x0, y0, x1, y1 in boxes:
        face = image[:, max(0, int(y0)) : min(height, int(y1) + 1), max(0, int(x0)) : min(width, int(x1) + 1)]
        if face.numel():
            parts.append(_cells(face, FACE_CELLS))
    return parts


def _is_toned(parts: list[Tensor]) -> bool:
    """Whether an image has one tint for each luminance: grey, sepia, cyanotype, duotone, yellowed paper.

    Its colours then lie on a curve over the luminance. Most of the image must, and most of its faces, so that a stamp or a
    caption in colour does not count and a person before a grey wall does. A dark image is measured as if it were brighter.

    Args:
        parts: the cells (4, K) of the image, then those of its faces, see `_cells`.
    """
    cells = torch.cat(parts, 1)
    known = cells[3] > 0.5
    colours, count = cells[:3, known].T, int(known[: parts[0].shape[1]].sum())  # (K, 3), of which the image's
    luma = (colours * colours.new_tensor(REC601)).sum(1)
    order = luma.argsort()
    chroma = (colours - luma[:, None])[order][:, [0, 2]].T  # (2, K)
    around = F.pad(chroma[None], (NEIGHBOURS, NEIGHBOURS), mode="replicate")[0].unfold(1, 2 * NEIGHBOURS + 1, 1)
    distances = torch.empty_like(luma)
    distances[order] = (chroma - around.median(2).values).norm(dim=0) / luma.quantile(0.98).clamp(min=DARK)
    in_image, in_faces = distances[:count], distances[count:]
    near = in_image.quantile(SHARE) <= LARGEST_DISTANCE  # false for NaN
    if len(in_faces):
        near &= in_faces.quantile(SHARE) <= LARGEST_IN_FACES
    return bool(near)


def _cells(image: Tensor, count: int) -> Tensor:
    """The cells of an image (3, H, W): their mean colours without clipped samples, where others are there, and the share of the
    samples that are left: (4, K)."""
    step = max(1, max(image.shape[1:]) // (16 * count))  # 16 x 16 samples of a cell are enough
    image = image[:, ::step, ::step].float()
    height, width = image.shape[1:]
    scale = min(1.0, count / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    low, high = UNCLIPPED
    weights = ((image > low) & (image < high)).all(0, keepdim=True).float()
    enough = (F.adaptive_avg_pool2d(weights, size) > 0.5).sum() > 2 * NEIGHBOURS
    weights = torch.where(enough, weights, 1.0)
    shares = F.adaptive_avg_pool2d(weights, size)
    means = F.adaptive_avg_pool2d(torch.where(weights > 0, image, 0.0), size) / shares.clamp(min=1e-6)
    return torch.cat([means, shares]).flatten(1)


def _difference_sums(image: Tensor) -> Iterator[Tensor]:
    """Of each strip (`strips`) of an image (3, H, W) the sums of R-B, G-R and B-G, and of their squares: (6,)."""
    for rows in strips(image):
        part = image[:, rows].float()
        differences = (part - part.roll(1, 0)).flatten(1)
        yield torch.cat([differences.sum(1), differences.square_().sum(1)])


def _is_reference_grey(image: Tensor, sums: Iterable[Tensor]) -> bool:
    """The reference's test of an image (3, H, W) in [0, 1]; of tints it sees only those that are added.

    Strip by strip: the sum of squared deviations can only grow, so most colour images are decided by the first strip.

    Args:
        sums: those of `_difference_sums`.
    """
    allowed = 3 * image[0].numel() * GREY_VARIANCE / 255**2
    count, total, squares = 0, torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for rows, of_strip in zip(strips(image), sums, strict=True):
        count += image[0, rows].numel()
        total, squares = total + of_strip[:3], squares + of_strip[3:]
        if not (squares - total**2 / count).sum() <= allowed:  # false for NaN too
            return False
    return True
