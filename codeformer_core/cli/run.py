"""The loop of every command: plan, load the networks, do one image or video after the other with bars, report."""

import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import cv2
import torch
from tqdm import tqdm

from ..runtime.progress import Progress, Tick
from .arguments import Arguments
from .context import ImageResult, RunContext
from .networks import device_of, load_networks
from .plan import ImageTask, Media, ignored, plan

#: Reads one image or video, works on it and writes it; what it raises is about this one only.
Process = Callable[[ImageTask, RunContext], ImageResult]

#: What one image or video may fail with while the others go on: files, formats, memory, and what the decoders say.
FAILURES = (OSError, ValueError, RuntimeError, MemoryError, cv2.error)

#: Names of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def run(arguments: Arguments, media: Media, trained_for: str | None, process: Process) -> int:
    """Do a command.

    Args:
        trained_for: the task of its restorer; None for a command without one.

    Returns:
        The exit status: 0 everything done, 1 some failed, 2 usage, 130 stopped by the user.
    """
    try:
        tasks, device = plan(arguments, media), device_of(arguments.device)
    except ValueError as error:
        return _refuse(arguments, error, 2)
    if note := ignored(arguments.paths, arguments.recursive, media):
        tqdm.write(f"Left out: {note}.", file=sys.stderr)
    try:
        if device.type == "cpu":
            keep_memory()
        context = load_networks(arguments, device, trained_for)
    except (OSError, ValueError, ImportError) as error:
        return _refuse(arguments, error, 1)
    context.reserved.update(path.resolve() for task in tasks for path in (task.source, task.target))
    return _process_all(tasks, context, media, process)


def _refuse(arguments: Arguments, error: Exception, status: int) -> int:
    tqdm.write(f"codeformer {arguments.command}: {error}", file=sys.stderr)
    return status


def _process_all(tasks: Sequence[ImageTask], context: RunContext, media: Media, process: Process) -> int:
    results: list[ImageResult] = []
    failures: list[str] = []
    begun, stopped, quiet = time.perf_counter(), False, context.arguments.quiet
    with _bars(len(tasks), media, quiet) as (step, progress), torch.inference_mode():
        context = replace(context, progress=progress)
        try:
            for task in tasks:
                try:
                    result = process(task, context)
                except FAILURES as error:
                    failures.append(_failure(str(task.source), task.source.name, error))
                else:
                    results.append(result)
                    if not quiet:
                        tqdm.write("\n    ".join(result.lines))
                step()
        except KeyboardInterrupt:
            stopped = True
    if not quiet:
        left = len(tasks) - len(results) - len(failures)
        found, changed = sum(result.found for result in results), sum(result.changed for result in results)
        tqdm.write(
            f"{media.name.capitalize()}s: {len(results)} of {len(tasks)} done, {len(failures)} failed"
            f"{f', {left} not begun' if left else ''}. Faces: {found} found, {changed} {context.arguments.done}, "
            f"{found - changed} skipped. {time.perf_counter() - begun:.1f} seconds."
        )
    for failure in failures:
        tqdm.write(f"failed: {failure}", file=sys.stderr)
    return 130 if stopped else 1 if failures else 0


def _failure(path: str, name: str, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return path + reason.removeprefix(name) if reason.startswith(name) else f"{path}: {reason}"  # `image_io.read` names it


@contextmanager
def _bars(tasks: int, media: Media, quiet: bool) -> Iterator[tuple[Callable[[], object], Progress]]:
    """Two progress bars on a terminal: one for images or videos, and one for the parts of the current one."""
    hidden = quiet or None
    with (
        tqdm(total=tasks, unit=media.name, disable=hidden, position=0) as over_tasks,
        tqdm(total=0, unit="face", disable=hidden, position=1, leave=False) as over_parts,
    ):

        def progress(unit: str) -> Tick:
            def tick(done: int, total: int) -> None:
                if done == 0:
                    over_parts.unit = unit
                    over_parts.reset(total)
                over_parts.total = total  # of tiles there may be more than was thought
                over_parts.update(done - over_parts.n)

            return tick

        yield over_tasks.update, progress


def keep_memory() -> bool:
    """Let glibc take large blocks from its heap and never give the heap back; whether it was told so.

    A part of the time of a network on the CPU goes into page faults otherwise. It is for the whole process and costs up to 1 GB
    of resident memory, so it is for our own command line only. An allocator that is set up in the environment is left alone.
    """
    chosen = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if chosen or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
