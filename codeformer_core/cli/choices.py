"""What the options of commands mean in the core's terms: the detector, the selection, masks from files, the limits."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from .. import pictures
from ..faces import AlignedFaces, DetectionOptions, Detector, Face
from ..limits import limit, occlude
from ..pictures.encode import FORMATS
from ..pipeline import Fixed, on_aligned, on_faces
from ..saved import from_json
from ..search import Rotated, Tiled
from ..selection import CHOICES, Selection
from ..sources import fitted
from .jobs import Job
from .networks import Networks
from .picture import Piece


class Saved(NamedTuple):
    """A detector that has found its faces before, in a picture of (H, W)."""

    faces: list[Face]
    found_in: tuple[int, int]

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """The faces, in images (B, 3, H, W) of the same proportions."""
        return fitted(self.faces, self.found_in, images.shape[0], (images.shape[2], images.shape[3]))


def on_picture(piece: Piece, step: Callable[[AlignedFaces], AlignedFaces], **pasting: Any) -> Fixed:
    """Do something with the faces of a picture, or with the aligned face that it is.

    Args:
        step: see `pipeline.on_faces`.
        pasting: more of its arguments, for whole pictures.
    """
    args, side = piece.args, piece.networks.restorer.side
    if args.aligned:
        return on_aligned(piece.image, side, step)
    return on_faces(
        piece.image,
        searching(args, piece.networks.detector),
        side,
        step,
        options=detection(args),
        selection=selection(args),
        area=mask_of(args.inside, piece.job, piece.image),
        **pasting,
    )


def enlargement(args: Namespace, networks: Networks) -> float:
    """How many times larger the result is: as asked for, else as the network does that enlarges the whole of it."""
    upscaler = networks.face_upscaler if args.aligned else networks.bg_upscaler
    return args.upscale or (upscaler.scale if upscaler else 1.0)


def searching(args: Namespace, network: Any) -> Detector:
    """The detector, looking where and how the options ask for."""
    if args.faces_from:
        return Saved(*from_json(args.faces_from.read_text(encoding="utf-8")))
    searched = Tiled(network, args.tiles) if args.tiles else network
    return Rotated(searched) if args.rotated else searched


def detection(args: Namespace) -> DetectionOptions:
    """What the detector is told."""
    return DetectionOptions(args.detection_side, args.confidence, args.overlap, args.eye_distance)


def selection(args: Namespace) -> Selection:
    """Which faces the options ask for."""
    named = CHOICES[args.choice]
    return replace(
        named,
        order=args.order or named.order,
        numbers=args.faces,
        first=args.first,
        count=args.count or named.count,
        min_size=args.min_size,
        max_size=args.max_size,
        min_percent=args.min_percent,
        max_percent=args.max_percent,
        sharpness=args.only_blurred,
        duplicates=args.keep_duplicates,
    )


def limited(piece: Piece, aligned: AlignedFaces) -> AlignedFaces:
    """Faces that are pasted only where the options say."""
    return limits(piece.args, piece.networks.parser, mask_of(piece.args.keep_out, piece.job, piece.image))(aligned)


def limits(args: Namespace, parser: Any, keep_out: Tensor | None) -> Callable[[AlignedFaces], AlignedFaces]:
    """What keeps faces to the parts that the options name and out of a mask (1, 1, h, w) over the picture."""

    def limited(aligned: AlignedFaces) -> AlignedFaces:
        shaped = limit(aligned, args.parts, parser, grow=args.grow, feather=args.feather, blend=args.blend)
        return shaped if keep_out is None else occlude(shaped, keep_out)

    return limited


def mask_of(path: Path | None, job: Job, image: Tensor) -> Tensor | None:
    """The mask for a picture: (1, 1, h, w) in [0, 1] on its device, white (and opaque) is 1; None without a path.

    Args:
        path: one mask, for every picture; or a folder with one for each, named and placed like the pictures.
        job: where the picture comes from.
        image: (1, 3, H, W) the picture.

    Raises:
        ValueError: there is none, or it has other proportions than the picture.
    """
    if path is None:
        return None
    file = _mask_file(path / job.below, job.source) if path.is_dir() else path
    found = pictures.read(file)
    mask = found.image.mean(1, keepdim=True)
    if found.alpha is not None:
        mask = mask * found.alpha
    (mask_height, mask_width), (height, width) = mask.shape[-2:], image.shape[-2:]
    if abs(mask_width * height - mask_height * width) > max(height, width):  # a side may be rounded by a pixel
        raise ValueError(
            f"the mask {file} is {mask_width} x {mask_height}, the picture {width} x {height}. "
            "Expected the same proportions: make a mask of the picture's size."
        )
    return mask.to(image.device)


def _mask_file(folder: Path, source: Path) -> Path:
    names = dict.fromkeys([source.name, *(source.stem + end for end in FORMATS)])
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"there is no mask for it in {folder}. Expected a picture of the same name, such as {source.stem}.png.")
