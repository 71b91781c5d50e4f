"""`codeformer train`."""

import sys

from ..training import config_file
from ..training.run import train
from .arguments import Arguments


def run(arguments: Arguments) -> int:
    """The exit status: 0 trained or stopped with everything saved, 1 something failed, 2 the configuration is wrong."""
    status = 2
    try:
        settings = config_file.read(arguments.config, arguments.research.settings)
        if arguments.research.show:
            print(config_file.show(settings), end="")
            return 0
        status = 1
        done = train(settings, quiet=arguments.quiet)
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"codeformer train: {error}", file=sys.stderr)
        return status
    steps = settings.optimiser.steps
    if done > steps and not arguments.quiet:
        print(f"{settings.out} holds a run of {done} steps already, more than steps = {steps}: nothing was trained.")
    elif not arguments.quiet:
        print(f"stage {settings.stage}, {done} of {steps} steps -> {settings.out / 'network.pth'}")
    return 0
