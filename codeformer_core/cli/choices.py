"""What the options of commands mean in the core's terms: the detector, the selection, masks from files, the limits."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from .. import image_io
from ..detection.external import scale_faces
from ..detection.faces_json import from_json
from ..faces import Detector, Face
from ..image_io.encode import FORMATS
from ..options import DetectionOptions, FixOptions, Selection, Steadiness
from ..pipeline import Extras, Fixed, Step, apply_to_aligned, apply_to_faces
from .jobs import Job
from .networks import Networks
from .picture import Piece


class Saved(NamedTuple):
    """A detector that has found its faces before, in a picture of (H, W)."""

    faces: list[Face]
    found_in: tuple[int, int]

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """The faces, in images (B, 3, H, W) of the same proportions."""
        return scale_faces(self.faces, self.found_in, images.shape[0], (images.shape[2], images.shape[3]))


def on_picture(piece: Piece, step: Step, **changed: Any) -> Fixed:
    """Do something with the faces of a picture, or with the aligned face that it is.

    Args:
        step: see `pipeline.apply_to_faces`.
        changed: options that are not as the user says.
    """
    args, side = piece.args, piece.networks.restorer.side
    options, extras = (
        replace(fix_options(args, piece.networks), **changed),
        fix_extras(args, piece.networks, piece.job, piece.image),
    )
    if args.aligned:
        return apply_to_aligned(piece.image, side, step, options, extras)
    return apply_to_faces(piece.image, detector(args, piece.networks.detector), side, step, options, extras)


def fix_options(args: Namespace, networks: Networks) -> FixOptions:
    """What the options of a command mean in the core's terms."""
    named = {
        "fidelity": getattr(args, "fidelity", 0.5),
        "match_style": getattr(args, "match_style", True),
        "grey": getattr(args, "grey", "auto"),
        "colour": getattr(args, "colour", "as-restored").replace("-", " "),
        "mask": args.mask if "parts" in args else "square",
        "keep_detail": getattr(args, "keep_detail", False),
        "parts": getattr(args, "parts", None),
        "grow": args.grow if "parts" in args else 0,
        "feather": args.feather if "parts" in args else 0,
        "blend": getattr(args, "blend", 1.0),
        "tile": getattr(args, "bg_tile", 400),
        "batch": getattr(args, "batch", None) or 0,
        "steady": not getattr(args, "frame_by_frame", False),
        "chunk": getattr(args, "chunk", 8),
        "upscale": enlargement(args, networks) if "upscale" in args else 1.0,
        "steadiness": Steadiness(strength=getattr(args, "temporal_strength", 0.8)),
    }
    return FixOptions(detection=detection(args), selection=selection(args), **named)


def fix_extras(args: Namespace, networks: Networks, job: Job, image: Tensor) -> Extras:
    """The networks and masks of a command; the masks have the proportions of an image (1, 3, H, W)."""
    return Extras(
        parser=networks.parser,
        upscaler=networks.bg_upscaler,
        face_upscaler=networks.face_upscaler,
        inside=mask_of(args.inside, job, image),
        keep_out=mask_of(getattr(args, "keep_out", None), job, image),
        fidelity_mask=mask_of(getattr(args, "fidelity_mask", None), job, image),
    )


def enlargement(args: Namespace, networks: Networks) -> float:
    """How many times larger the result is: as asked for, else as the network does that enlarges the whole of it."""
    upscaler = networks.face_upscaler if args.aligned else networks.bg_upscaler
    return args.upscale or (upscaler.scale if upscaler else 1.0)


def detector(args: Namespace, network: Any) -> Detector:
    """The network, or the faces that a file names."""
    return Saved(*from_json(args.faces_from.read_text(encoding="utf-8"))) if args.faces_from else network


def detection(args: Namespace) -> DetectionOptions:
    """How faces are searched."""
    return DetectionOptions(
        args.detection_side, args.confidence, args.overlap, args.eye_distance, rotated=args.rotated, tile=args.tiles
    )


def selection(args: Namespace) -> Selection:
    """Which faces the options ask for."""
    return Selection(
        choice=args.choice,
        order=args.order or "found",
        numbers=args.faces,
        first=args.first,
        count=args.count,
        min_size=args.min_size,
        max_size=args.max_size,
        min_percent=args.min_percent,
        max_percent=args.max_percent,
        sharpness=args.only_blurred,
        duplicates=args.keep_duplicates,
    )


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
    found = image_io.read(file)
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
