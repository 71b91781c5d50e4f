"""`python -m benchmarks gpu`: whether a GPU computes the right thing, and how fast it does, in one command of a few minutes."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from codeformer_core.cli.values import existing, json_file, listed
from codeformer_core.runtime.atomic_write import atomic_write, refuse_existing

from . import arguments, report
from .lines import Line, table
from .official import check_checkout
from .sections import SECTIONS, Run
from .workers import Setting, Worker


def main(argv: Sequence[str]) -> int:
    """Run the command. A section that fails does not stop the others; what was found is shown and written in any case.

    Returns:
        0 if everything was measured and as expected, 1 if not, 130 after Ctrl-C.

    Raises:
        SystemExit: wrong usage.
    """
    command = parser()
    args = command.parse_args(argv)
    with arguments.wrong_usage(command):
        (device,) = arguments.devices(args.device)
        if not args.overwrite:
            refuse_existing(args.out)
        if args.reference:
            check_checkout(args.reference)
    lines: list[Line] = []
    failures: list[str] = []
    status = 0
    try:
        _run(args, device, lines, failures)
    except KeyboardInterrupt:
        status = 130
    about = report.about([device], "as-it-comes")
    print(report.heading(about).rpartition("\n")[0], table(lines), sep="\n\n")
    for failure in failures:
        print(failure, file=sys.stderr)
    content = about | {"lines": [asdict(line) for line in lines], "failures": failures}
    with atomic_write(args.out, args.overwrite) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
    return status or (1 if failures or any(line.holds is False for line in lines) else 0)


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    command = argparse.ArgumentParser(
        prog="python -m benchmarks gpu",
        description="Prove a GPU: parity, speed against what the device can do, copies and memory. Needs no download.",
        allow_abbrev=False,
    )
    add = command.add_argument
    add("--out", type=json_file, required=True, metavar="FILE.json", help="every number, with the card's name")
    add(
        "--sections",
        type=listed(arguments.one_of(tuple(SECTIONS))),
        metavar="NAME,NAME",
        help=f"only these: {', '.join(SECTIONS)}",
    )
    add("--device", default="cuda", help="cuda (default), cuda:1, mps, cpu")
    add("--minutes", type=float, default=7.0, metavar="M", help="begin no case after this time (default: 7)")
    add("--reference", type=existing, metavar="FOLDER", help="a checkout of the official CodeFormer: measure it too, in turns")
    add("--tiny", action="store_true", help="tiny networks and images, to try the command itself")
    add("--overwrite", action="store_true", help="replace FILE.json if it exists")
    add("-q", "--quiet", action="store_true", help="no progress bar")
    return command


def _run(args: argparse.Namespace, device: str, lines: list[Line], failures: list[str]) -> None:
    sections = {name: SECTIONS[name] for name in args.sections or SECTIONS}
    deadline = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory(prefix="codeformer-bench-") as folder, ExitStack() as stack:
        settings = [Setting(device, Path(folder), args.tiny, None, {})]
        if args.reference:
            settings.append(Setting(device, Path(folder), False, args.reference.resolve(), {}))
        run = Run(device, args.tiny, Path(folder), [stack.enter_context(Worker(one)) for one in settings], deadline)
        bar = stack.enter_context(tqdm(sections.items(), unit="section", disable=args.quiet or None, leave=False))
        for name, section in bar:
            bar.set_description(name)
            try:
                for found in section(run):
                    if isinstance(found, Line):
                        lines.append(found)
                    else:
                        failures.append(f"{name}: {found}")
            except Exception as error:  # noqa: BLE001 - the other sections still tell something
                failures.append(f"{name}: {type(error).__name__}: {error}")
