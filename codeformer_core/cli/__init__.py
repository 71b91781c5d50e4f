"""The command line: what can be said to `codeformer`. The work is imported when it is asked for, so that help is quick."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import checkpoints


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 all done, 1 something failed, 2 wrong usage, 130 stopped with Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end the work
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        args = _arguments().parse_args(argv)
    except SystemExit as status:  # argparse has said why
        return int(status.code or 0)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="codeformer",
        description="Restore faces in pictures with CodeFormer.",
        epilog="Help on a command: codeformer fix --help",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fix(commands.add_parser("fix", help="restore the faces in pictures", description="Restore the faces in pictures."))
    _add_models(commands.add_parser("models", help="list, fetch and verify model files", description="The model files."))
    return parser


def _add_fix(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_fix, choice="all")
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="pictures (PNG, JPEG, WebP, BMP, TIFF) and folders of them"
    )
    files = parser.add_argument_group("files")
    files.add_argument("-o", "--out", type=Path, required=True, help="folder for the results; or a file, for one picture")
    files.add_argument("--recursive", action="store_true", help="look into sub-folders, and make the same ones in OUT")
    files.add_argument("--suffix", default="", help='added to names: "fixed" makes photo_fixed.png')
    files.add_argument(
        "--format",
        choices=("keep", "png", "jpg", "webp", "tiff"),
        default="keep",
        help="of the results (default: as the input)",
    )
    files.add_argument("--overwrite", action="store_true", help="replace results that exist (inputs never are)")
    files.add_argument("--save-crops", type=Path, metavar="DIR", help="also write each face as cut out and as restored")
    files.add_argument("--draw-boxes", action="store_true", help="draw the faces that were found into the results")
    files.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")

    work = parser.add_argument_group("restoration")
    work.add_argument(
        "-w", "--fidelity", type=_between(0, 1), default=0.5, metavar="W", help="0: best-looking, 1: most alike (default 0.5)"
    )
    work.add_argument(
        "--no-match-style", dest="match_style", action="store_false", help="do not keep the face's colours and contrast"
    )
    work.add_argument(
        "--grey",
        choices=("auto", "on", "off"),
        default="auto",
        help="restore faces in grey (default: when the picture is grey)",
    )
    work.add_argument(
        "--upscale", type=_between(0, 8, above=True), default=1.0, metavar="S", help="size of the result (default 1)"
    )
    work.add_argument(
        "--mask",
        choices=("square", "face", "box"),
        default="square",
        help="what is pasted: the reference's square, the face alone, a soft box",
    )
    work.add_argument("--aligned", action="store_true", help="the pictures are cut-out faces in the FFHQ pose already")

    search = parser.add_argument_group("which faces")
    which = search.add_mutually_exclusive_group()
    which.add_argument(
        "--only-center", dest="choice", action="store_const", const="center", help="the one nearest to the centre"
    )
    which.add_argument("--only-largest", dest="choice", action="store_const", const="largest", help="the largest one")
    search.add_argument(
        "--detection-side", type=_whole(16), default=640, metavar="PX", help="short side for detection (default 640)"
    )
    search.add_argument("--confidence", type=_between(0, 1), default=0.8, help="drop faces that are less certain (default 0.8)")
    search.add_argument(
        "--overlap", type=_between(0, 1), default=0.4, help="of faces that overlap more, keep one (default 0.4)"
    )
    search.add_argument(
        "--eye-distance", type=_between(0, 1e6), default=5.0, metavar="PX", help="skip faces whose eyes are closer (default 5)"
    )

    models = parser.add_argument_group("models", "names as in `codeformer models list`, or paths of files")
    models.add_argument("--model", default="codeformer", help="the restorer (default codeformer)")
    models.add_argument(
        "--detector", default="retinaface-resnet50", help="retinaface-resnet50 (default), retinaface-mobile0.25 or yunet"
    )
    models.add_argument("--parser", default="parsenet", help="for --mask face (default parsenet)")
    _add_weights(models)
    models.add_argument("--download", action="store_true", help="fetch model files that are missing")
    models.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps, ...")
    models.add_argument("--batch", type=_whole(1), default=1, metavar="N", help="faces at once (default 1)")


def _add_models(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    names = ", ".join(model.name for model in checkpoints.catalogue())
    for action, run, described, count in (
        ("list", _list, "every known file, whether it is here, its size and its licence", None),
        ("fetch", _fetch, "fetch files, after saying how large they are and under which licence", "+"),
        ("verify", _verify, "check that files are the published ones", "*"),
        ("where", _where, "the folders that are looked in", None),
    ):
        sub = actions.add_parser(action, help=described, description=described[0].upper() + described[1:] + ".")
        sub.set_defaults(run=run)
        if count:
            sub.add_argument("names", nargs=count, type=_model, metavar="NAME", help=names)
        _add_weights(sub)
        sub.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def _add_weights(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    parser.add_argument(
        "--weights",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="look here first, and fetch into it; may be repeated",
    )


def _between(low: float, high: float, above: bool = False) -> Callable[[str], float]:
    """An argument type: a number from `low` (or above it) to `high`."""

    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high or (above and value == low):
            raise argparse.ArgumentTypeError(
                f"found {text}, expected a number {'above' if above else 'from'} {low:g} to {high:g}"
            )
        return value

    return number


def _whole(low: int) -> Callable[[str], int]:
    """An argument type: a whole number from `low` on."""

    def number(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"found {text}, expected a whole number from {low} on")
        return value

    return number


def _model(name: str) -> checkpoints.ModelFile:
    """An argument type: an entry of the catalogue."""
    model = checkpoints.lookup(name)
    if model is None:
        known = ", ".join(model.name for model in checkpoints.catalogue())
        raise argparse.ArgumentTypeError(f"{name!r} is not a model of the catalogue. Use one of: {known}")
    return model


def _fix(args: argparse.Namespace) -> int:
    useless = [
        option
        for option, given in (
            ("--upscale", args.upscale != 1),
            ("--draw-boxes", args.draw_boxes),
            ("--only-center or --only-largest", args.choice != "all"),
            ("--save-crops", args.save_crops),
        )
        if given
    ]
    if args.aligned and useless:
        print(
            f"codeformer fix: --aligned leaves nothing to do for {', '.join(useless)}. Leave out one of them.", file=sys.stderr
        )
        return 2
    from . import fix

    return fix.run(args)


def _list(args: argparse.Namespace) -> int:
    from . import models

    return models.listing(args.weights)


def _where(args: argparse.Namespace) -> int:
    from . import models

    return models.where(args.weights)


def _fetch(args: argparse.Namespace) -> int:
    from . import models

    return models.fetch_all(args.names, args.weights, args.quiet)


def _verify(args: argparse.Namespace) -> int:
    from . import models

    return models.verify(args.names or checkpoints.catalogue(), args.weights, named=bool(args.names))
