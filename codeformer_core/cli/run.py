"""The loop of every command on images or videos: plan, load the networks, do one file after the other, report."""

import ctypes
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import torch
from tqdm import tqdm

from ..runtime.atomic_write import remove_abandoned
from ..runtime.progress import Tick
from .arguments import Arguments
from .commands import COMMANDS
from .context import RunContext
from .networks import device_of, load_networks
from .plan import ImageTask, Media, expanded, ignored, plan, without_results
from .report import ImageResult, Outcome
from .review import Review, begin_review, write_review
from .signals import interrupted_status

#: Reads one image or video, works on it and writes it; what it raises is about this one only.
Process = Callable[[ImageTask, RunContext], ImageResult]

#: What one image or video may fail with while the others go on: files, formats, memory, and what the decoders say.
FAILURES = (OSError, ValueError, RuntimeError, MemoryError, cv2.error)

#: Loads the networks of a command onto a device.
Load = Callable[[Arguments, torch.device], RunContext]

#: Names of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def process_all(arguments: Arguments, media: Media, process: Process, load: Load = load_networks) -> int:
    """Do a command; what has a result from before is not done again, unless --overwrite says so.

    Args:
        load: called when something is to be done.

    Returns:
        The exit status: 0 everything done, 1 some failed, 2 usage, 128 + a signal when one ended it.
    """
    status = 2  # wrong usage, until there is a plan
    try:
        arguments = replace(arguments, paths=expanded(arguments.paths))
        tasks, device = plan(arguments, media), device_of(arguments.device)
        review = begin_review(arguments, tasks)
        status = 1
        note = ignored(arguments.paths, arguments.recursive, media)
        if note and not arguments.quiet:
            tqdm.write(f"Left out: {note}.", file=sys.stderr)
        for folder in {file.parent for task in tasks for file in (task.target, task.crops) if file}:
            remove_abandoned(folder)
        todo = without_results(arguments, tasks)
        if device.type == "cpu":
            keep_memory()
        context = load(arguments, device) if todo else RunContext(arguments, device, arguments.options)
    except (OSError, ValueError, ImportError) as error:
        tqdm.write(f"codeformer {arguments.command}: {error}", file=sys.stderr)
        return status
    context.reserved.update(path.resolve() for task in tasks for path in (task.source, task.target))
    return _process_each(tasks, todo, context, media, process, review)


def _process_each(
    tasks: list[ImageTask], todo: list[ImageTask], context: RunContext, media: Media, process: Process, review: Review
) -> int:
    """Do some of the tasks and report on all: the others were done before."""
    before = {task: Outcome(task.source, "done before", 0.0, ImageResult(task.target, before=True)) for task in tasks}
    outcomes = before | {task: Outcome(task.source, "not begun") for task in todo}
    status, begun, arguments, quiet = 0, time.perf_counter(), context.arguments, context.arguments.quiet
    hidden = quiet or None  # None: where there is no terminal
    with (
        tqdm(todo, unit=media.name, disable=hidden, position=0) as bar,
        tqdm(total=0, disable=hidden, position=1, leave=False) as parts,
        torch.inference_mode(),
    ):
        context = replace(context, progress=partial(_progress, parts))
        try:
            for task in bar:
                outcomes[task] = outcome = _attempt(task, context, process)
                if outcome.status == "done" and outcome.result and not quiet:
                    tqdm.write("\n    ".join(outcome.result.lines))
        except KeyboardInterrupt as stop:
            status = interrupted_status(stop)
    failures = [outcome.error for outcome in outcomes.values() if outcome.status == "failed"]
    said = [_summary(list(outcomes.values()), media, COMMANDS[arguments.command].done, time.perf_counter() - begun)]
    try:
        said += write_review(review, arguments.command, list(outcomes.values()))
    except OSError as error:
        failures.append(str(error))
    if not quiet:
        tqdm.write("\n".join(said))
    for failure in failures:
        tqdm.write(f"failed: {failure}", file=sys.stderr)
    return status or (1 if failures else 0)


def _attempt(task: ImageTask, context: RunContext, process: Process) -> Outcome:
    begun = time.perf_counter()
    try:
        result = process(task, context)
    except FAILURES as error:
        reason = str(error) or type(error).__name__
        named = reason.startswith(task.source.name)  # `image_io.read` names the file
        said = f"{task.source}{reason.removeprefix(task.source.name) if named else f': {reason}'}"
        return Outcome(task.source, "failed", time.perf_counter() - begun, error=said)
    return Outcome(task.source, "done before" if result.before else "done", time.perf_counter() - begun, result)


def _summary(outcomes: list[Outcome], media: Media, changed: str, seconds: float) -> str:
    counts = Counter(outcome.status for outcome in outcomes)
    results = [outcome.result for outcome in outcomes if outcome.result]
    found, worked_on = sum(result.found for result in results), sum(result.changed for result in results)
    before = f", {counts['done before']} done before (--overwrite does them again)" if counts["done before"] else ""
    left = f", {counts['not begun']} not begun" if counts["not begun"] else ""
    return (
        f"{media.name.capitalize()}s: {counts['done']} of {len(outcomes)} done, {counts['failed']} failed{before}{left}. "
        f"Faces: {found} found, {worked_on} {changed}, {found - worked_on} skipped. {seconds:.1f} seconds."
    )


def _progress(bar: tqdm, unit: str) -> Tick:
    """Progress in a unit, on a bar that is used again and again."""
    bar.unit = unit
    bar.reset()

    def tick(done: int, total: int) -> None:
        bar.total = total  # of tiles there may be more than was thought
        bar.update(done - bar.n)

    return tick


def keep_memory() -> None:
    """Let glibc take large blocks from its heap and never give the heap back.

    A part of the time of a network on the CPU goes into page faults otherwise. It is for the whole process and costs up to 1 GB
    of resident memory, so it is for our own command line only. An allocator that is set up in the environment is left alone.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if platform.libc_ver()[0] == "glibc" and not chosen:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
