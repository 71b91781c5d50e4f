"""`codeformer fix`: pictures in, pictures with restored faces out."""

from argparse import Namespace

from ..pipeline import fix_aligned, fix_faces
from . import work
from .choices import detector, fix_extras, fix_options
from .picture import Piece, Worked


def run(args: Namespace) -> int:
    """Do the command; see `work.run`."""
    return work.run(args, "restoration", _fix)


def _fix(piece: Piece) -> Worked:
    args, networks = piece.args, piece.networks
    options, extras = fix_options(args, networks), fix_extras(args, networks, piece.job, piece.image)
    if args.aligned:
        return Worked(fix_aligned(piece.image, networks.restorer, options, extras, piece.watch))
    found_by = detector(args, networks.detector)
    return Worked(fix_faces(piece.image, found_by, networks.restorer, options, extras, piece.watch))
