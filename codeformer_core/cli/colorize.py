"""`codeformer colorize`: pictures in, pictures whose faces have colours out."""

from argparse import Namespace

from ..faces import AlignedFaces
from ..restoration import colorize
from . import work
from .choices import on_picture
from .picture import Piece, Worked


def run(args: Namespace) -> int:
    """Do the command; see `work.run`."""
    return work.run(args, "colorization", _colorize)


def _colorize(piece: Piece) -> Worked:
    args, networks = piece.args, piece.networks

    def step(aligned: AlignedFaces) -> AlignedFaces:
        options = {"keep_luminance": args.keep_luminance, "batch": args.batch, "tick": piece.watch("face")}
        return colorize(aligned, networks.restorer, **options)

    fixed = on_picture(piece, step, keep_detail=args.keep_luminance)
    return Worked(fixed, coloured=len(fixed.aligned) > 0)
