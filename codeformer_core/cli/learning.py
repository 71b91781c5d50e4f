"""What can be said to `codeformer train` and `codeformer crop`. Nothing heavy is imported, so that help is quick."""

import argparse

from . import options
from .values import named, whole


def train(parser: argparse.ArgumentParser) -> None:
    """`codeformer train`."""
    parser.add_argument("config", metavar="CONFIG", help="a TOML file, or the name of one that comes with the program")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=_train)


def crop(parser: argparse.ArgumentParser) -> None:
    """`codeformer crop`."""
    parser.add_argument("paths", nargs="+", type=named, metavar="PATH", help="pictures and folders of them")
    group = parser.add_argument_group("files")
    group.add_argument("-o", "--out", type=named, required=True, metavar="FOLDER", help="for the faces, as PNG")
    group.add_argument("--side", type=whole(16), default=512, metavar="PX", help="of the faces (default 512)")
    group.add_argument("--recursive", action="store_true", help="look into sub-folders, and make the same ones in FOLDER")
    group.add_argument("--overwrite", action="store_true", help="replace faces that exist")
    group.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")
    options.finding(parser)
    options.choosing(parser)
    options.models(parser, None, parts=False)
    parser.set_defaults(run=_crop, aligned=False, faces_from=None)


def _train(args: argparse.Namespace) -> int:
    from .train import run

    return run(args)


def _crop(args: argparse.Namespace) -> int:
    from .crop import run

    return run(args)
