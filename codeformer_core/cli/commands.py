"""What can be said to each command, and where its work is: imported when it is asked for."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module

from .. import checkpoints
from . import options
from .contradictions import contradiction
from .values import between, existing, fidelity, model, whole

Run = Callable[[argparse.Namespace], int]


def fix(parser: argparse.ArgumentParser) -> None:
    """`codeformer fix`."""
    only_whole = options.files(parser)
    group = parser.add_argument_group("restoration")
    group.add_argument(
        "-w",
        "--fidelity",
        type=fidelity,
        default=(0.5,),
        metavar="W[,W]",
        help="0: best-looking, 1: most alike (default 0.5); or one for each face, in the order of the faces",
    )
    group.add_argument(
        "--fidelity-mask", type=existing, metavar="MASK", help="most alike in the white of this picture; or a folder of such"
    )
    only_whole += options.restoring(group) + options.sizing(parser)
    only_whole += options.finding(parser) + options.known_faces(parser) + options.choosing(parser) + options.pasting(parser)
    options.models(parser, "codeformer", parts=True)
    parser.set_defaults(run=_pictures("fix", only_whole), command="fix", done="restored")


def colorize(parser: argparse.ArgumentParser) -> None:
    """`codeformer colorize`."""
    only_whole = options.files(parser)
    group = parser.add_argument_group("colours")
    group.add_argument("--keep-luminance", action="store_true", help="only the hues are new, the light stays the picture's")
    only_whole += options.finding(parser) + options.known_faces(parser) + options.choosing(parser) + options.pasting(parser)
    options.models(parser, "codeformer-colorization", parts=True)
    parser.set_defaults(run=_pictures("colorize", only_whole), command="colorize", done="coloured")


def inpaint(parser: argparse.ArgumentParser) -> None:
    """`codeformer inpaint`."""
    only_whole = options.files(parser)
    group = parser.add_argument_group("what is filled", "the white of a mask; without one, white brush strokes in the picture")
    group.add_argument(
        "--mask",
        dest="holes",
        type=existing,
        metavar="MASK",
        help="white where to fill; or a folder of such, of the same names",
    )
    group.add_argument(
        "--tolerance",
        type=whole(0),
        metavar="N",
        help="levels of 255 that a stroke may be off white (default 8, for JPEG; 0: pure white only)",
    )
    group.add_argument("--feather", type=whole(0), default=0, metavar="PX", help="fade over so many pixels around (default 0)")
    only_whole += options.finding(parser) + options.known_faces(parser) + options.choosing(parser)
    options.models(parser, "codeformer-inpainting", parts=False)
    parser.set_defaults(run=_pictures("inpaint", only_whole), command="inpaint", done="filled")


def video(parser: argparse.ArgumentParser) -> None:
    """`codeformer video`."""
    options.videos(parser)
    group = parser.add_argument_group("restoration")
    group.add_argument(
        "-w", "--fidelity", type=between(0, 1), default=0.5, metavar="W", help="0: best-looking, 1: most alike (default 0.5)"
    )
    options.restoring(group)
    options.steadiness(parser)
    options.sizing(parser)
    options.finding(parser)
    options.choosing(parser)
    options.pasting(parser)
    options.models(parser, "codeformer", parts=True)
    parser.set_defaults(run=_pictures("video", []), command="video", done="restored")


def models(parser: argparse.ArgumentParser) -> None:
    """`codeformer models`."""
    actions = parser.add_subparsers(metavar="ACTION", prog="codeformer models")
    parser.set_defaults(run=_list, weights=[])
    names = ", ".join(model.name for model in checkpoints.catalogue())
    for action, run, described, count in (
        ("list", _list, "every known file, whether it is here, its size, address, hash and licence", None),
        ("fetch", _fetch, "fetch files, after saying how large they are and under which licence", "+"),
        ("verify", _verify, "check that files are the published ones", "*"),
        ("where", _where, "the folders that are looked in", None),
    ):
        sub = actions.add_parser(
            action, help=described, description=described[0].upper() + described[1:] + ".", allow_abbrev=False
        )
        sub.set_defaults(run=run, subparser=sub)
        if count:
            sub.add_argument("names", nargs=count, type=model, metavar="NAME", help=names)
        options.weights(sub)
        sub.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def _pictures(command: str, only_whole: options.Whole) -> Run:
    """How a command on pictures or videos is run, once its options go together."""

    def run(args: argparse.Namespace) -> int:
        wrong = contradiction(args, only_whole)
        if wrong:
            print(f"codeformer {command}: {wrong}", file=sys.stderr)
            return 2
        return import_module(f".{command}", __package__).run(args)

    return run


def _list(args: argparse.Namespace) -> int:
    from .models import listing

    return listing(args.weights)


def _where(args: argparse.Namespace) -> int:
    from .models import where

    return where(args.weights)


def _fetch(args: argparse.Namespace) -> int:
    from .models import fetch_all

    return fetch_all(args.names, args.weights, args.quiet)


def _verify(args: argparse.Namespace) -> int:
    from .models import verify

    return verify(args.names or checkpoints.catalogue(), args.weights, named=bool(args.names))
