"""What every command on pictures or videos does: plan, load, one after the other with bars, and a report."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import torch
from tqdm import tqdm

from ..runtime.progress import Tick
from .allocator import keep_memory
from .jobs import PICTURES, Job, Kind, left_out, plan
from .networks import at_once, device_of, load_networks
from .picture import Files, Outcome, Piece, Tools, Watch, Worked, do

# What one picture or video may fail with while the others go on: files, formats, memory, and what the decoders say.
FAILURES = (OSError, ValueError, RuntimeError, MemoryError, cv2.error)

#: Options that name pictures or folders which are read and must not be written to.
_READ = ("inside", "keep_out", "fidelity_mask", "holes")


@dataclass
class Report:
    """What became of everything so far; `done` is what happens to a face ("restored")."""

    kind: Kind
    done: str
    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def summary(self, jobs: int, seconds: float) -> str:
        """The last line of the command."""
        found, changed = sum(o.found for o in self.outcomes), sum(o.changed for o in self.outcomes)
        finished, failed = len(self.outcomes), len(self.failures)
        stopped = f", {jobs - finished - failed} not begun" if finished + failed < jobs else ""
        return (
            f"{self.kind.name.capitalize()}s: {finished} of {jobs} done, {failed} failed{stopped}. "
            f"Faces: {found} found, {changed} {self.done}, {found - changed} skipped. {seconds:.1f} seconds."
        )


def run(args: Namespace, task: str, work: Callable[[Piece], Worked]) -> int:
    """Do a command on pictures: `each` with `work`, what is done with one picture."""
    return each(args, task, PICTURES, lambda job, tools, files: do(job, work, tools, files))


def each(args: Namespace, task: str, kind: Kind, do: Callable[[Job, Tools, Files], Outcome]) -> int:
    """Do a command.

    Args:
        args: what the user said.
        task: what its restorer must have been trained for.
        kind: pictures or videos.
        do: reads, works and writes; what it raises is about this job only.

    Returns:
        The exit status: 0 everything done, 1 some failed, 2 usage, 130 stopped by the user.
    """
    read = [path for name in _READ if (path := getattr(args, name, None))]
    try:
        jobs = plan(
            args.paths,
            args.out,
            recursive=args.recursive,
            suffix=args.suffix,
            end=args.format,
            crops=args.save_crops,
            read=read,
            kind=kind,
        )
        if len(jobs) > 1 and (args.save_faces or args.faces_from):
            raise ValueError(f"--save-faces and --faces-from are for one picture, found {len(jobs)}: do them one by one.")
        device = device_of(args.device)
    except ValueError as error:
        tqdm.write(f"codeformer {args.command}: {error}", file=sys.stderr)
        return 2
    if note := left_out(args.paths, args.recursive, kind):
        tqdm.write(f"Left out: {note}.", file=sys.stderr)
    try:
        if device.type == "cpu":
            keep_memory()
        networks = load_networks(args, device, task)
        args.batch = args.batch or at_once(networks.restorer, device)
    except (OSError, ValueError, ImportError) as error:
        tqdm.write(f"codeformer {args.command}: {error}", file=sys.stderr)
        return 1
    report, begun, stopped = Report(kind, args.done), time.perf_counter(), False
    files = Files({path.resolve() for job in jobs for path in (job.source, job.target)}, args.overwrite)
    with _bars(len(jobs), kind, args.quiet) as (step, watch), torch.inference_mode():
        try:
            for job in jobs:
                try:
                    outcome = do(job, Tools(args, device, networks, watch), files)
                except FAILURES as error:
                    report.failures.append(_failure(str(job.source), job.source.name, error))
                else:
                    report.outcomes.append(outcome)
                    if not args.quiet:
                        tqdm.write("\n    ".join(outcome.lines))
                step()
        except KeyboardInterrupt:
            stopped = True
    if not args.quiet:
        tqdm.write(report.summary(len(jobs), time.perf_counter() - begun))
    for failure in report.failures:
        tqdm.write(f"failed: {failure}", file=sys.stderr)
    return 130 if stopped else 1 if report.failures else 0


def _failure(path: str, name: str, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return path + reason.removeprefix(name) if reason.startswith(name) else f"{path}: {reason}"  # `pictures.read` names it


@contextmanager
def _bars(jobs: int, kind: Kind, quiet: bool) -> Iterator[tuple[Callable[[], object], Watch]]:
    """Two progress bars on a terminal: one for pictures or videos, and one for the parts of the one at hand."""
    hidden = quiet or None
    with (
        tqdm(total=jobs, unit=kind.name, disable=hidden, position=0) as over_jobs,
        tqdm(total=0, unit="face", disable=hidden, position=1, leave=False) as over_parts,
    ):

        def watch(unit: str) -> Tick:
            def tick(done: int, total: int) -> None:
                if done == 0:
                    over_parts.unit = unit
                    over_parts.reset(total)
                over_parts.total = total  # of tiles there may be more than was thought
                over_parts.update(done - over_parts.n)

            return tick

        yield over_jobs.update, watch
