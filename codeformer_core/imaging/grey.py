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
    """The cells of an image (3, H, W), and of each face, see `_cells`.

    Clipped samples are told in all of them at once: a GPU spends more on launching kernels than on the samples.
    """
    height, width = image.shape[1:]
    areas = [(image, IMAGE_CELLS)]
    for x0, y0, x1, y1 in boxes:
        face = image[:, max(0, int(y0)) : min(height, int(y1) + 1), max(0, int(x0)) : min(width, int(x1) + 1)]
        if face.numel():
            areas.append((face, FACE_CELLS))
    sampled = [_samples(area, count) for area, count in areas]
    samples = torch.cat([area.flatten(1) for area in sampled], 1)
    low, high = UNCLIPPED
    usable = ((samples > low) & (samples < high)).all(0, keepdim=True)
    planes = torch.cat([torch.where(usable, samples, 0.0), usable, samples, torch.ones_like(usable)])  # (8, all samples)
    own = planes.split([area[0].numel() for area in sampled], 1)
    return [
        _cells(part.unflatten(1, area.shape[1:]), count) for part, area, (_, count) in zip(own, sampled, areas, strict=True)
    ]


def _is_toned(parts: list[Tensor]) -> bool:
    """Whether an image has one tint for each luminance: grey, sepia, cyanotype, duotone, yellowed paper.

    Its colours then lie on a curve over the luminance. Most of the image must, and most of its faces, so that a stamp or a
    caption in colour does not count and a person before a grey wall does. A dark image is measured as if it were brighter.

    Args:
        parts: the cells (4, K) of the image, then those of its faces, see `_cells`.
    """
    cells = torch.cat(parts, 1)
    known = cells[3] > 0.5
    colours = (cells[:3] / cells[3].clamp(min=1e-6))[:, known].T  # (K, 3)
    count = int(known[: parts[0].shape[1]].sum())  # those of the image
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


def _samples(image: Tensor, count: int) -> Tensor:
    """Those samples of an image (3, H, W) that its cells are the means of: 16 x 16 of a cell are enough."""
    step = max(1, max(image.shape[1:]) // (16 * count))
    return image[:, ::step, ::step].float()


def _cells(planes: Tensor, count: int) -> Tensor:
    """Of each cell the mean of its samples, with clipped ones as black where others are enough, and the others' share: (4, K).

    Args:
        planes: (8, h, w): the samples without clipped ones, which are not, all samples, ones.
        count: of cells along the longer side.
    """
    height, width = planes.shape[1:]
    scale = min(1.0, count / max(height, width))
    means = F.adaptive_avg_pool2d(planes, (max(1, round(height * scale)), max(1, round(width * scale)))).flatten(1)
    enough = (means[3] > 0.5).sum() > 2 * NEIGHBOURS
    return torch.where(enough, means[:4], means[4:])


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
