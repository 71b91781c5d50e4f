"""`codeformer inpaint`: pictures with holes in, pictures with filled faces out."""

from argparse import Namespace

from torch import Tensor

from ..faces import AlignedFaces, Face, Skipped
from ..imaging.resize import resize
from ..masks.holes import TOLERANCE, fade_edges, white_brush_mask
from ..restoration import inpaint
from . import work
from .choices import mask_of, on_picture
from .picture import Piece, Worked


def run(args: Namespace) -> int:
    """Do the command; see `work.run`."""
    return work.run(args, "inpainting", _inpaint)


def _inpaint(piece: Piece) -> Worked:
    args = piece.args
    holes = _holes(piece)
    if not (holes > 0.5).any():
        return Worked(None, ["no hole: the mask has no white" if args.holes else "no hole: no white brush stroke was found"])
    seen: list[Face] = []

    def step(aligned: AlignedFaces) -> AlignedFaces:
        seen.extend(aligned.faces)
        return inpaint(aligned, piece.networks.restorer, holes, batch=args.batch, tick=piece.watch("face"))

    fixed = on_picture(piece, step)
    filled = set(fixed.aligned.faces)
    untouched = [Skipped(face, "no hole touches it") for face in seen if face not in filled]
    hole = holes > 0.5
    left = float((hole & (fixed.mask < 0.5)).sum() / hole.sum())
    notices = [f"{left:.0%} of the holes are on no face and stay as they were"] if left >= 0.005 else []
    return Worked(fixed._replace(skipped=fixed.skipped + untouched), notices)


def _holes(piece: Piece) -> Tensor:
    """(1, 1, H, W) in [0, 1] over the picture, faded as the user asks."""
    args = piece.args
    mask = mask_of(args.holes, piece.job, piece.image)
    if mask is None:
        tolerance = TOLERANCE if args.tolerance is None else args.tolerance / 255
        return fade_edges(white_brush_mask(piece.image, tolerance), args.feather)
    return fade_edges(resize(mask, *piece.image.shape[-2:]), args.feather)
