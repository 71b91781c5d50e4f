"""`codeformer bench`: how long each step takes here, and beside the official code."""

import json
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from tqdm import tqdm

from ..bench import report
from ..bench.cases import FULL, QUICK, Scale, cases
from ..bench.official import MARK
from ..bench.running import Row, measure
from ..bench.workers import Setting, Worker
from ..whole import appearing, refuse_existing
from .networks import device_of

#: What `allocator.keep_memory` asks of glibc, for processes that are yet to start.
_KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}

#: Name -> the environment of our process and of the official code's.
ALLOCATORS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "as-it-comes": ({}, {}),
    "kept": (_KEPT, _KEPT),
    "ours-kept": (_KEPT, {}),
}


def run(args: Namespace) -> int:
    """Do the command. What was measured is shown even when it is stopped or something fails."""
    try:
        scale, devices = _scale(args), _devices(args.device)
        _refuse(args)
    except (ValueError, FileExistsError) as error:
        print(f"codeformer bench: {error}", file=sys.stderr)
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
        with appearing(args.json, args.overwrite) as temporary:
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
