"""Align faces: warp them from their images to the FFHQ template, and image-wide maps to the same crops."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .faces import AlignedFaces, Face
from .imaging import buffers
from .imaging.affine import compose, fit_similarity, invert, resize_affine, translation, warp, warped_bounds
from .imaging.colour import is_grey
from .imaging.resize import resize

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
    last = max((face.image_index for face in faces), default=0)
    if last >= len(images) and faces:
        raise ValueError(f"Found a face of image {last + 1} and a batch of {len(images)}: give the images it was found in.")
    landmarks = torch.tensor([face.landmarks for face in faces], dtype=torch.float64).reshape(-1, 5, 2)
    affines = fit_similarity(landmarks, template(side))
    greys = is_grey(images) if faces else ()
    crops = buffers.empty(images, len(faces), 3, side, side, dtype=torch.float32)
    for crop, face, affine, back in zip(crops, faces, affines, invert(affines), strict=True):
        x0, y0, x1, y1 = warped_bounds(back, side, side, (height, width))
        if x0 >= x1 or y0 >= y1:
            raise ValueError(f"Found a face at {face.box}, outside the image of {width} x {height}: detect again.")
        part = images[face.image_index : face.image_index + 1, :, y0:y1, x0:x1]
        # A greyscale image is filled with a grey without tint, so that its crops stay exactly grey.
        fill = sum(FILL) / 3 if greys[face.image_index] else FILL
        to_crop = compose(translation(x0, y0), affine[None])
        warp(part, to_crop, side, side, fill, out=crop[None], antialias=sampling == "exact")
    originals = crops.to(images.dtype)
    return AlignedFaces(
        faces=tuple(faces),
        originals=originals,
        crops=originals,
        affines=affines,
        masks=originals.new_ones(len(faces), 1, side, side),
        grey=tuple(greys[face.image_index] for face in faces),
        image_size=(height, width),
        sampling=sampling,
    )


def warp_to_crops(maps: Tensor, aligned: AlignedFaces) -> Tensor:
    """Image-wide maps, such as masks, warped to the crops as `align` warps the images; 0 outside the image.

    Args:
        maps: (1 or B, C, h, w), of any size, stretched over the images; a single one serves every image.

    Returns:
        (N, C, S, S).

    Raises:
        ValueError: several maps, but fewer than images.
    """
    last = max((face.image_index for face in aligned.faces), default=0)
    if maps.shape[0] != 1 and maps.shape[0] <= last:
        raise ValueError(
            f"Found {maps.shape[0]} masks and a face of image {last + 1}. Expected one mask, or one for each image: "
            "connect as many masks as images."
        )
    height, width = aligned.image_size
    maps = resize(maps, height, width)  # at full size, since a coarse map would fade out well inside the image border
    warped = maps.new_zeros(len(aligned), maps.shape[1], aligned.side, aligned.side)
    for crop, face, affine, back in zip(warped, aligned.faces, aligned.affines, invert(aligned.affines), strict=True):
        index = face.image_index if maps.shape[0] > 1 else 0
        x0, y0, x1, y1 = warped_bounds(back, aligned.side, aligned.side, (height, width))
        if x0 < x1 and y0 < y1:
            part = maps[index : index + 1, :, y0:y1, x0:x1]
            to_crop = compose(translation(x0, y0), affine[None])
            exact = aligned.sampling == "exact"
            crop.copy_(warp(part, to_crop, aligned.side, aligned.side, antialias=exact)[0])
    return warped
