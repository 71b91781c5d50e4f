"""Align faces: warp them from their images to the FFHQ template, and image-wide maps to the same crops."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .faces import AlignedFaces, Box, Face, check_images
from .imaging import buffers
from .imaging.affine import compose, fit_similarity, footprints, invert, resize_affine, translation, warp, warped_bounds
from .imaging.grey import Grey, grey_tests
from .imaging.regions import Kind, Region, group, of_one_size, stacked
from .imaging.resize import resize
from .runtime.transfer import numbers

#: The five landmarks in a 512 x 512 crop: the mean of FFHQ, which CodeFormer was trained on (REFERENCE: facexlib,
#: face_restoration_helper.py). Left eye, right eye, nose, left and right mouth corner.
FFHQ_TEMPLATE = torch.tensor(
    [
        [192.98138, 239.94708],
        [318.90277, 240.19360],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ],
    dtype=torch.float64,
)

TEMPLATE_SIDE = 512

#: A detector's box in an aligned crop of side 1: the mean of 75 faces (the annotated photographs, the group and
#: portrait photographs and the mosaic of the test data; RetinaFace MobileNet0.25, standard deviation of the centre 0.05, 0.02).
CROP_BOX: Box = (0.22, 0.19, 0.78, 0.92)

#: Fills the part of a crop that is outside the image: the reference's grey (135, 133, 132 in BGR), as RGB in [0, 1].
FILL = (132 / 255, 133 / 255, 135 / 255)


def template(side: int) -> Tensor:
    """(5, 2) float64: the template landmarks in a crop of `side` pixels."""
    affine = resize_affine(side / TEMPLATE_SIDE)[0]
    return FFHQ_TEMPLATE @ affine[:, :2].T + affine[:, 2]


def align(images: Tensor, faces: Sequence[Face], side: int = TEMPLATE_SIDE, sampling: str = "exact") -> AlignedFaces:
    """Cut faces out of their images in the FFHQ pose.

    Args:
        images: (B, 3, H, W) RGB in [0, 1].
        faces: faces of these images.
        side: S, the side of the crops in pixels.
        sampling: see `FixOptions.sampling`; exact antialiases faces that are larger than their crops.

    Returns:
        The faces with crops of S x S pixels and masks of ones. Outside the image a crop is a neutral grey.
    """
    height, width = images.shape[-2:]
    check_images(faces, (height, width), len(images), (height, width))
    landmarks = torch.tensor([face.landmarks for face in faces], dtype=torch.float64).reshape(-1, 5, 2)
    affines = fit_similarity(landmarks, template(side))
    greys = grey_tests(images, faces) if faces else ()
    neutral = numbers(FILL, images.device)
    shown = {face.image_index for face in faces}
    tints = {index: _toned_fill(images[index]) if greys[index] & Grey.AUTO else neutral for index in shown}
    fills = [tints[face.image_index] for face in faces]
    crops = buffers.empty(images, len(faces), 3, side, side, dtype=torch.float32)
    outside = _warp_to_crops(images, faces, affines, crops, fills, antialias=sampling == "exact")
    if outside:
        raise ValueError(f"Found a face at {outside[0].box}, outside the image of {width} x {height}: detect again.")
    originals = crops.to(images.dtype)
    return AlignedFaces(
        faces=tuple(faces),
        originals=originals,
        crops=originals,
        affines=affines,
        masks=originals.new_ones(len(faces), 1, 1, 1).expand(-1, -1, side, side),
        grey=tuple(greys[face.image_index] for face in faces),
        image_size=(height, width),
        sampling=sampling,
    )


def _toned_fill(image: Tensor) -> Tensor:
    """`FILL` in the tint of a black-and-white image (3, H, W), so that the crops of a grey one stay exactly grey: (3,)."""
    mean = image[:, ::8, ::8].float().mean((1, 2))
    return (mean / mean.mean().clamp(min=1e-3) * (sum(FILL) / 3)).clamp(max=1)


def warp_to_crops(maps: Tensor, aligned: AlignedFaces) -> Tensor:
    """Image-wide maps, such as masks, warped to the crops as `align` warps the images; 0 outside the image.

    Args:
        maps: (1 or B, C, h, w), of any size, stretched over the images; a single one serves every image.

    Returns:
        (N, C, S, S).

    Raises:
        ValueError: see `stretch_over_images`.
    """
    stretched = stretch_over_images(maps, aligned)  # since a coarse map would fade out well inside the image border
    crops = maps.new_zeros(len(aligned), maps.shape[1], aligned.side, aligned.side, dtype=torch.float32)
    _warp_to_crops(stretched, aligned.faces, aligned.affines, crops, antialias=aligned.sampling == "exact")
    return crops.to(maps.dtype)


def stretch_over_images(maps: Tensor, aligned: AlignedFaces) -> Tensor:
    """Maps (1 or B, C, h, w) at the size of the images that the faces were found in; a ValueError for too few of them."""
    last = max((face.image_index for face in aligned.faces), default=0)
    if maps.shape[0] != 1 and maps.shape[0] <= last:
        raise ValueError(
            f"Found {maps.shape[0]} masks and a face of image {last + 1}. Expected one mask, or one for each image: "
            "connect as many masks as images."
        )
    return resize(maps, *aligned.image_size)


def _warp_to_crops(
    images: Tensor,
    faces: Sequence[Face],
    affines: Tensor,
    crops: Tensor,
    fills: Sequence[Tensor] | None = None,
    *,
    antialias: bool,
) -> list[Face]:
    """Warp the parts of images (1 or B, C, H, W) that crops (N, C, S, S) float32 cover into them.

    On a GPU together those that cover parts of similar sizes, but for faces so large that their parts are shrunk first.

    Args:
        fills: N of (C,), see `warp`; 0 without them.

    Returns:
        The faces whose crops cover nothing and are left as they are.
    """
    side, size = crops.shape[-1], (images.shape[2], images.shape[3])
    bounds = [warped_bounds(affine, side, side, size) for affine in invert(affines)]
    regions = [Region(face.image_index, *own) for face, own in zip(faces, bounds, strict=True)]
    kinds = [
        Kind(1, (side * one.samples) ** 2, (one.samples, row if one.level > 1 else None))
        for row, one in enumerate(footprints(affines, size, antialias))
    ]
    for rows in group(regions, kinds, together=images.device.type != "cpu"):
        parts = of_one_size([regions[row] for row in rows], size)
        to_crops = compose(torch.cat([translation(part.x0, part.y0) for part in parts]), affines[rows])
        fill = 0.0 if fills is None else stacked([fills[row] for row in rows])
        out = [crops[row] for row in rows]
        warp(stacked([part.of(images) for part in parts]), to_crops, side, side, fill, out, antialias=antialias)
    return [face for face, region in zip(faces, regions, strict=True) if region.empty]


def wrap_aligned_images(images: Tensor, side: int) -> AlignedFaces:
    """Images (B, 3, H, W) RGB in [0, 1] that are already aligned faces, as `AlignedFaces` with crops of `side` pixels."""
    height, width = images.shape[-2:]
    crops = resize(images, side)
    landmarks = tuple((x * width / height, y) for x, y in template(height).tolist())
    x0, y0, x1, y1 = CROP_BOX
    box = (x0 * width, y0 * height, x1 * width, y1 * height)
    return AlignedFaces(
        faces=tuple(Face(index, box, landmarks, 1.0) for index in range(len(images))),
        originals=crops,
        crops=crops,
        affines=resize_affine(side / width, side / height).repeat(len(images), 1, 1),
        masks=crops.new_ones(len(images), 1, 1, 1).expand(-1, -1, side, side),
        grey=grey_tests(images),
        image_size=(height, width),
    )
