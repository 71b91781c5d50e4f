"""The command line of `python -m benchmarks`: options, their types, and the device."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from codeformer_core.cli.networks import device_of
from codeformer_core.cli.values import existing, json_file, listed

from .cases import PRECISIONS, STEPS
from .engines import ENGINES


def parser(allocators: Sequence[str]) -> argparse.ArgumentParser:
    """The options of the command; `allocators` are the choices of --allocator, the first the default."""
    command = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure every step on this machine, and beside the official code.",
        allow_abbrev=False,
    )
    add = command.add_argument_group("what is measured", "takes a minute or two, unless more is asked for").add_argument
    add("--full", action="store_true", help="every step, size and batch: hours on a CPU")
    add("--steps", type=listed(one_of(STEPS)), metavar="STEP,STEP", help=f"only these: {', '.join(STEPS)}")
    add("--sizes", type=listed(_size), metavar="WxH,WxH", help="of images and videos, such as 1920x1080,4000x3000")
    add("--faces", type=listed(_positive), metavar="N,N", help="faces in an image")
    add("--batches", type=listed(_positive), metavar="N,N", help="crops in one call of a network")
    precisions = ", ".join(PRECISIONS)
    add("--precisions", type=listed(one_of(PRECISIONS)), metavar="P,P", help=f"of the networks: {precisions}")
    add("--device", default="all", help="all (default: the CPU, and CUDA if available), cpu, cuda, cuda:1, mps, ...")
    add("--tiny", action="store_true", help="tiny networks, to try the benchmark itself")
    add = command.add_argument_group("how").add_argument
    add("--reference", type=existing, metavar="FOLDER", help="a checkout of the official CodeFormer: measure it too, in turns")
    add(
        "--against",
        type=listed(one_of(tuple(ENGINES))),
        metavar="ENGINE,ENGINE",
        help=f"{', '.join(ENGINES)}: restore a face of 512 and one of 128 pixels by these too, in turns, from an export",
    )
    add("--rounds", type=_positive, metavar="N", help="runs of each case, after one warm-up")
    add("--seconds", type=_seconds, metavar="S", help="begin no third run of a case after this time")
    add(
        "--allocator",
        choices=allocators,
        default=allocators[0],
        help="kept: glibc keeps freed memory, for this project and the official code, or for this project only",
    )
    add("--json", type=json_file, metavar="FILE.json", help="write the numbers to a file too")
    add("--overwrite", action="store_true", help="replace FILE.json if it exists")
    add("-q", "--quiet", action="store_true", help="no progress bar")
    return command


@contextmanager
def wrong_usage(command: argparse.ArgumentParser) -> Iterator[None]:
    """What is found to be wrong within ends the command with status 2, as a wrong option does."""
    try:
        yield
    except (ValueError, FileExistsError) as error:
        command.exit(2, f"{command.prog}: {error}\n")


def devices(name: str) -> list[str]:
    """The devices that --device names.

    Raises:
        ValueError: it cannot be used.
    """
    if name == "all":
        return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    return [str(device_of(name))]


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def choice(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return choice


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number from 0 to 1e6")
    return seconds


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a size such as 1920x1080")
    if min(int(width), int(height)) < 64:
        raise argparse.ArgumentTypeError(f"found {text}, expected sides of 64 pixels or more")
    return int(width), int(height)
