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
        _detector(args, piece.networks.detector),
        side,
        step,
        options=DetectionOptions(args.detection_side, args.confidence, args.overlap, args.eye_distance),
        selection=selection(args),
        area=mask_of(piece, args.inside),
        **pasting,
    )


def _detector(args: Namespace, network: Any) -> Detector:
    if args.faces_from:
        return Saved(*from_json(args.faces_from.read_text(encoding="utf-8")))
    searched = Tiled(network, args.tiles) if args.tiles else network
    return Rotated(searched) if args.rotated else searched


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
    args = piece.args
    shaped = limit(aligned, args.parts, piece.networks.parser, grow=args.grow, feather=args.feather, blend=args.blend)
    mask = mask_of(piece, args.keep_out)
    return shaped if mask is None else occlude(shaped, mask)


def mask_of(piece: Piece, path: Path | None) -> Tensor | None:
    """The mask for a picture: (1, 1, h, w) in [0, 1] on its device, white (and opaque) is 1; None without a path.

    Args:
        path: one mask, for every picture; or a folder with one for each, named and placed like the pictures.

    Raises:
        ValueError: there is none, or it has other proportions than the picture.
    """
    if path is None:
        return None
    file = _mask_file(path / piece.job.below, piece.job.source) if path.is_dir() else path
    found = pictures.read(file)
    mask = found.image.mean(1, keepdim=True)
    if found.alpha is not None:
        mask = mask * found.alpha
    (mask_height, mask_width), (height, width) = mask.shape[-2:], piece.image.shape[-2:]
    if abs(mask_width * height - mask_height * width) > max(height, width):  # a side may be rounded by a pixel
        raise ValueError(
            f"the mask {file} is {mask_width} x {mask_height}, the picture {width} x {height}. "
            "Expected the same proportions: make a mask of the picture's size."
        )
    return mask.to(piece.image.device)


def _mask_file(folder: Path, source: Path) -> Path:
    names = dict.fromkeys([source.name, *(source.stem + end for end in FORMATS)])
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"there is no mask for it in {folder}. Expected a picture of the same name, such as {source.stem}.png.")
