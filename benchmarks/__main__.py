"""`python -m benchmarks`: time and memory of each step, also beside the official code."""

import json
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from codeformer_core.runtime.atomic_write import atomic_write, refuse_existing

from . import arguments, engines, report
from .alternate import Row, measure
from .cases import FULL, QUICK, Scale, cases
from .official import check_checkout
from .workers import Setting, Worker

#: What `cli.run.keep_memory` asks of glibc, set in the environment of new processes.
_KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}

#: Name -> the environment of our process and of the official code's.
ALLOCATORS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "as-it-comes": ({}, {}),
    "kept": (_KEPT, _KEPT),
    "ours-kept": (_KEPT, {}),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Results so far are shown even after Ctrl-C or a failure."""
    words = sys.argv[1:] if argv is None else argv
    try:
        if words[:1] in (["gpu"], ["curves"]):
            return import_module(f".{words[0]}", __package__).main(words[1:])
        return _measure_steps(words)
    except SystemExit as status:  # argparse has printed the reason
        return int(status.code or 0)


def _measure_steps(argv: Sequence[str]) -> int:
    command = arguments.parser(tuple(ALLOCATORS))
    args = command.parse_args(argv)
    with arguments.wrong_usage(command):
        scale, devices = _scale(args), arguments.devices(args.device)
        _check(args)
    if args.against:
        return _compare_engines(args)
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
    _write(args, report.content(shown, about))
    return status or (1 if failures else 0)


def _compare_engines(args: Namespace) -> int:
    results: list[engines.Result] = []
    status = 0
    try:
        with tempfile.TemporaryDirectory(prefix="codeformer-bench-") as folder:
            results.extend(engines.run(args, Path(folder)))
    except KeyboardInterrupt:
        status = 130
    about = report.about(["cpu"], args.allocator)
    print(report.heading(about).rpartition("\n")[0], engines.table(results), sep="\n\n")
    _write(args, about | {"engines": [one._asdict() for one in results]})
    return status


def _write(args: Namespace, content: dict[str, Any]) -> None:
    if args.json:
        with atomic_write(args.json, args.overwrite) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n")


def _scale(args: Namespace) -> Scale:
    chosen = {axis: value for axis in Scale._fields if (value := getattr(args, axis)) is not None}
    return (FULL if args.full else QUICK)._replace(**chosen)


def _check(args: Namespace) -> None:
    if args.json and not args.overwrite:
        refuse_existing(args.json)
    if args.against:
        engines.check(args)
    if args.reference:
        check_checkout(args.reference)
    if args.reference and args.tiny:
        raise ValueError("--tiny networks have no counterpart in the official code: leave out --tiny or --reference.")


def _measure_all(args: Namespace, scale: Scale, devices: Sequence[str], rows: list[Row], failures: list[str]) -> None:
    """Measure case by case; rows and failures are appended as they come, so that Ctrl-C loses none."""
    todo = list(cases(scale, devices))
    with (
        tempfile.TemporaryDirectory(prefix="codeformer-bench-") as folder,
        tqdm(total=len(todo) * (scale.rounds + 1), unit="round", disable=args.quiet or None, leave=False) as bar,
    ):
        for device in devices:
            with ExitStack() as stack:
                workers = [stack.enter_context(Worker(setting)) for setting in _worker_settings(args, device, Path(folder))]
                for index, case in enumerate(todo):
                    if case.device != device:
                        continue
                    bar.set_description(str(case))
                    try:
                        rows += measure(case, workers, scale.rounds, scale.seconds, bar.update)
                    except RuntimeError as error:
                        failures.append(f"{case}: {error}")
                    bar.update((index + 1) * (scale.rounds + 1) - bar.n)  # rounds that were not needed


def _worker_settings(args: Namespace, device: str, folder: Path) -> list[Setting]:
    ours, theirs = ALLOCATORS[args.allocator]
    settings = [Setting(device, folder, args.tiny, None, ours)]
    return settings + [Setting(device, folder, False, args.reference.resolve(), theirs)] if args.reference else settings


if __name__ == "__main__":
    sys.exit(main())
