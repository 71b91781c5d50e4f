"""`codeformer train`: one training run, begun or gone on with."""

import sys
from argparse import Namespace

from tqdm import tqdm

from ..training import config
from ..training.run import train


def run(args: Namespace) -> int:
    """The exit status: 0 trained or stopped with everything saved, 1 something failed, 2 the configuration is wrong."""
    try:
        told = config.read(args.config)
    except ValueError as error:
        tqdm.write(f"codeformer train: {error}", file=sys.stderr)
        return 2
    try:
        done = train(told, quiet=args.quiet)
    except (OSError, ValueError, FloatingPointError) as error:
        tqdm.write(f"codeformer train: {error}", file=sys.stderr)
        return 1
    if not args.quiet:
        tqdm.write(f"stage {told.stage}, {done} of {told.optimiser.steps} steps -> {told.out / 'network.pth'}")
    return 0
