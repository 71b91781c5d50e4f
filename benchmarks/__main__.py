"""`python -m benchmarks`: how long each step takes here, and beside the official code."""

import argparse
import json
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from tqdm import tqdm

from codeformer_core.cli.networks import device_of
from codeformer_core.cli.values import between, existing, json_file, numbers, several, sizes, whole
from codeformer_core.runtime.atomic_write import atomic_write, refuse_existing

from . import report
from .cases import FULL, PRECISIONS, QUICK, STEPS, Scale, cases
from .official import MARK
from .turns import Row, measure
from .workers import Setting, Worker

#: What `cli.run.keep_memory` asks of glibc, for processes that are yet to start.
_KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}

#: Name -> the environment of our process and of the official code's.
ALLOCATORS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "as-it-comes": ({}, {}),
    "kept": (_KEPT, _KEPT),
    "ours-kept": (_KEPT, {}),
}


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure how fast this machine is, and beside the official code.",
        allow_abbrev=False,
    )
    add = parser.add_argument_group("what is measured", "in a minute or two, unless more is asked for").add_argument
    add("--full", action="store_true", help="every step, size and batch: hours on a CPU")
    add("--steps", type=several(STEPS), metavar="STEP,STEP", help=f"only these: {', '.join(STEPS)}")
    add("--sizes", type=sizes, metavar="WxH,WxH", help="of pictures and videos, such as 1920x1080,4000x3000")
    add("--faces", type=numbers, metavar="N,N", help="faces in a picture")
    add("--batches", type=numbers, metavar="N,N", help="crops in one call of a network")
    add("--precisions", type=several(PRECISIONS), metavar="P,P", help=f"of the networks: {', '.join(PRECISIONS)}")
    add("--device", default="all", help="all (default: the CPU, and CUDA where there is one), cpu, cuda, cuda:1, mps, ...")
    add("--tiny", action="store_true", help="a tiny CodeFormer, to try the bench itself")
    add = parser.add_argument_group("how").add_argument
    add("--reference", type=existing, metavar="FOLDER", help="a checkout of the official CodeFormer: run it too, by turns")
    add("--rounds", type=whole(1), metavar="N", help="runs of each case, after one that does not count")
    add("--seconds", type=between(0, 1e6), metavar="S", help="begin no third run of a case after so long")
    add(
        "--allocator",
        choices=("as-it-comes", "kept", "ours-kept"),
        default="as-it-comes",
        help="kept: memory once used is not given back (glibc), for ours and the official code, or for ours only",
    )
    add("--json", type=json_file, metavar="FILE.json", help="write the numbers there too")
    add("--overwrite", action="store_true", help="replace FILE.json if it exists")
    add("-q", "--quiet", action="store_true", help="no progress bar")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. What was measured is shown even when it is stopped or something fails."""
    try:
        args = arguments().parse_args(argv)
    except SystemExit as status:  # argparse has said why
        return int(status.code or 0)
    try:
        scale, devices = _scale(args), _devices(args.device)
        _refuse(args)
    except (ValueError, FileExistsError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    failures: list[str] = []
    status = 0
    try:
        _measure_all(args, scale, devices, rows, failures)
    except KeyboardInterrupt:
        status = 130
    about = report.about(devices, args.allocator)
    shown = [row for row in rows if row.step in scale.steps]
    print(report.heading(about), report.table(shown), sep="\n\n")
    for failure in failures:
        print(failure, file=sys.stderr)
    if args.json:
        with atomic_write(args.json, args.overwrite) as temporary:
            temporary.write_text(json.dumps(report.content(shown, about), indent=1) + "\n")
    return status or (1 if failures else 0)


def _scale(args: Namespace) -> Scale:
    chosen = {axis: value for axis in Scale._fields if (value := getattr(args, axis)) is not None}
    return (FULL if args.full else QUICK)._replace(**chosen)


def _devices(name: str) -> list[str]:
    if name == "all":
        return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    return [str(device_of(name))]


def _refuse(args: Namespace) -> None:
    if args.json and not args.overwrite:
        refuse_existing(args.json)
    if args.reference and not (args.reference / MARK).is_file():
        raise ValueError(
            f"{args.reference} is no checkout of the official CodeFormer: it has no {MARK.as_posix()}. "
            "Give the folder of a clone of https://github.com/sczhou/CodeFormer."
        )
    if args.reference and args.tiny:
        raise ValueError("--tiny networks have no counterpart in the official code: leave out --tiny or --reference.")


def _measure_all(args: Namespace, scale: Scale, devices: Sequence[str], rows: list[Row], failures: list[str]) -> None:
    """Every case, device by device; rows and failures are added as they come."""
    todo = list(cases(scale, devices))
    with (
        tempfile.TemporaryDirectory(prefix="codeformer-bench-") as folder,
        tqdm(total=len(todo) * (scale.rounds + 1), unit="round", disable=args.quiet or None, leave=False) as bar,
    ):
        for device in devices:
            with ExitStack() as stack:
                workers = [stack.enter_context(Worker(setting)) for setting in _settings(args, device, Path(folder))]
                for index, case in enumerate(todo):
                    if case.device != device:
                        continue
                    bar.set_description(str(case))
                    try:
                        rows += measure(case, workers, scale.rounds, scale.seconds, bar.update)
                    except RuntimeError as error:
                        failures.append(f"{case}: {error}")
                    bar.update((index + 1) * (scale.rounds + 1) - bar.n)  # rounds that were not needed


def _settings(args: Namespace, device: str, folder: Path) -> list[Setting]:
    ours, theirs = ALLOCATORS[args.allocator]
    settings = [Setting(device, folder, args.tiny, None, ours)]
    return settings + [Setting(device, folder, False, args.reference.resolve(), theirs)] if args.reference else settings


if __name__ == "__main__":
    sys.exit(main())
