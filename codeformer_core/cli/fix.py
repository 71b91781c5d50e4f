"""`codeformer fix`: pictures in, pictures with restored faces out."""

from argparse import Namespace

from torch import Tensor

from ..colour import matched
from ..faces import AlignedFaces
from ..fidelity import each, painted
from ..pipeline import enlarge
from ..steps import restore
from ..upscale import enlarge_with
from . import work
from .choices import enlargement, limited, mask_of, on_picture
from .picture import Piece, Worked


def run(args: Namespace) -> int:
    """Do the command; see `work.run`."""
    return work.run(args, "restoration", _fix)


def _fix(piece: Piece) -> Worked:
    args, networks = piece.args, piece.networks
    background = _background(piece)

    def step(aligned: AlignedFaces) -> AlignedFaces:
        done = restore(
            aligned,
            networks.restorer,
            _fidelity(piece, aligned),
            match_style=args.match_style,
            grey=args.grey,
            batch=args.batch,
            tick=piece.watch("face"),
        )
        done = done.with_crops(matched(done.crops, done.originals, args.colour.replace("-", " ")))
        done = limited(piece, done)
        if networks.face_upscaler is None or not len(done):
            return done
        factor = enlargement(args, networks)
        return done.with_crops(enlarge_with(done.crops, networks.face_upscaler, factor, args.bg_tile, tick=piece.watch("tile")))

    pasting = {"mask": args.mask, "parser": networks.parser, "background": background, "keep_detail": args.keep_detail}
    return Worked(on_picture(piece, step, **pasting))


def _background(piece: Piece) -> Tensor:
    """What the faces are pasted into: (1, 3, H', W')."""
    upscaler, factor = piece.networks.bg_upscaler, enlargement(piece.args, piece.networks)
    if upscaler is None:
        return enlarge(piece.image, factor)
    return enlarge_with(piece.image, upscaler, factor, piece.args.bg_tile, tick=piece.watch("tile"))


def _fidelity(piece: Piece, aligned: AlignedFaces) -> float | Tensor:
    """One weight for all faces, one for each (N,), or maps (N, 1, S, S) that rise to 1 in the white of a mask."""
    weights = each(piece.args.fidelity, 0.5, len(aligned))
    mask = mask_of(piece.args.fidelity_mask, piece.job, piece.image)
    return weights if mask is None or not len(aligned) else painted(aligned, weights, mask, inside=1.0)
