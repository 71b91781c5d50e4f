"""Which options do not go together, and what to do."""

import argparse
from collections.abc import Callable

from .options import Whole

#: What contradicts itself, and what to do: (whether the arguments do, a sentence).
_CONTRADICTIONS: tuple[tuple[Callable[[argparse.Namespace], bool], str], ...] = (
    (
        lambda args: args.choice != "all" and bool(args.faces or args.count or args.first > 1),
        "--only-center and --only-largest choose one face: leave out --faces, --first and --count, or use --order.",
    ),
    (
        lambda args: bool(args.faces_from and (args.rotated or args.tiles)),
        "--faces-from does not search: leave out --rotated and --tiles.",
    ),
    (
        lambda args: bool(args.faces_from and args.save_faces) and args.faces_from.resolve() == args.save_faces.resolve(),
        "--save-faces would write over the file that --faces-from reads: name another file.",
    ),
    (
        lambda args: "parts" in args and not args.parts and bool(args.grow or args.feather),
        "--grow and --feather shape the parts of a face: say which with --parts.",
    ),
    (
        lambda args: "holes" in args and args.holes is not None and args.tolerance is not None,
        "--tolerance is for white brush strokes, which --mask takes the place of: leave out one of them.",
    ),
)


def contradiction(args: argparse.Namespace, whole: Whole) -> str | None:
    """Why options do not go together, in a sentence; `whole` are those that --aligned leaves nothing to do for."""
    useless = {action.option_strings[0]: None for action in whole if getattr(args, action.dest) != action.default}
    if args.aligned and useless:
        return f"--aligned leaves nothing to do for {', '.join(useless)}. Leave out one of them."
    return next((sentence for contradicts, sentence in _CONTRADICTIONS if contradicts(args)), None)
