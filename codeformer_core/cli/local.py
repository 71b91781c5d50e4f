"""The tasks of a job on this machine: several images at a time in threads, or one after the other."""

import time
from collections.abc import Callable, Generator, Iterator, MutableMapping
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import Any

import cv2
import torch

from ..extras import Extras
from ..faces import Size
from ..runtime.memory_limit import memory_limit
from ..runtime.prefetch import in_threads
from ..runtime.sharing import SharedNetwork
from .context import RunContext
from .plan import ImageTask
from .report import ImageResult, Outcome

#: Reads one image or video, works on it and writes it; what it raises is about this one only.
Process = Callable[[ImageTask, RunContext], ImageResult]

#: What one image or video may fail with while the others go on: files, formats, memory, and what the decoders say.
FAILURES = (OSError, ValueError, RuntimeError, MemoryError, cv2.error)

#: Memory of an image at work, in bytes for each pixel of the image or of its result, whichever has more: the pixels as floats,
#: before and after, the paste mask, and what decoders and encoders take. Measured on Linux: docs/performance.md.
PIXEL_BYTES = 64

#: What the images at work may take together: five of 12 megapixels, and never more than half of what there is.
MOST_BYTES = 4 << 30

#: The size that is assumed of an image of which it cannot be told.
UNKNOWN = 4000, 3000

#: At most so many images at a time, on whatever machine.
MOST_AT_ONCE = 16


class Stopped(Exception):
    """Raised by the progress callback of an image in a thread, when the job is to stop."""


def attempt(task: ImageTask, context: RunContext, process: Process) -> Outcome:
    """Do a task; a failure is its outcome."""
    begun = time.perf_counter()
    try:
        with torch.inference_mode():
            result = process(task, context.for_task(task))
    except FAILURES as error:
        return failed(task, error, time.perf_counter() - begun)
    return Outcome(task.source, "done before" if result.before else "done", time.perf_counter() - begun, result)


def failed(task: ImageTask, error: BaseException, seconds: float = 0.0) -> Outcome:
    """The outcome of a task that failed."""
    reason = str(error) or type(error).__name__
    named = reason.startswith(task.source.name)  # `image_io.read` names the file
    said = f"{task.source}{reason.removeprefix(task.source.name) if named else f': {reason}'}"
    return Outcome(task.source, "failed", seconds, error=said)


def one_by_one(
    todo: list[ImageTask], outcomes: MutableMapping[ImageTask, Outcome], context: RunContext, process: Process
) -> Generator[ImageTask, None, None]:
    """Do tasks in order; yields each when its outcome is known. What is interrupted is stopped."""
    for task in todo:
        begun = time.perf_counter()
        try:
            outcomes[task] = attempt(task, context, process)
        except (Stopped, KeyboardInterrupt):
            outcomes[task] = Outcome(task.source, "stopped", time.perf_counter() - begun)
            raise
        yield task


def side_by_side(
    todo: list[ImageTask],
    outcomes: MutableMapping[ImageTask, Outcome],
    context: RunContext,
    process: Process,
    size_of: Callable[[Path], Size | None],
    stopping: Callable[[], object],
) -> Generator[ImageTask, None, None]:
    """Do tasks on images in threads, so that reading, networks, compositing and writing go on at the same time.

    On a CPU the cores are shared out among the images: networks on one core each do more in a second than one network on all,
    and what has only one thread anyway (decoding, detection, PNG) does not keep the others waiting. On other devices networks
    are called in turn, with the faces of several images in a call, see `SharedNetwork`.

    Yields tasks as they are finished.

    Args:
        size_of: (W, H) of a file's image, for the memory that it will take; None where it cannot be told.
        stopping: called when the job stops early; then those at work stop at their next step, and are waited for.
    """
    stop, together = Event(), apart(todo)
    in_network = 0
    if context.device.type == "cpu":
        in_network = getattr(context.restorer, "memory_used", lambda *_: 0)(1, *[getattr(context.restorer, "side", 0)] * 2)
    else:
        context = _shared(context)
    context = replace(context, progress=lambda unit: partial(_stop_if, stop))
    upscale = max(1.0, context.options.upscale) ** 2

    def work(tasks: list[ImageTask]) -> list[ImageTask]:
        return list(one_by_one(tasks, outcomes, replace(context, found={}), process))

    def needed(tasks: list[ImageTask]) -> int:
        width, height = size_of(tasks[0].source) or UNKNOWN
        return in_network + int(PIXEL_BYTES * width * height * upscale)

    def cancel() -> None:
        stop.set()
        stopping()

    cores, budget = torch.get_num_threads(), min(MOST_BYTES, memory_limit() // 2)
    at_once = max(1, min(cores, len(together), MOST_AT_ONCE, budget // max(1, needed(together[0]))))
    with (
        _threads_each(cores // at_once),
        closing(in_threads(work, together, at_once, needed, budget, cancel)) as finished,
    ):
        for tasks in finished:
            yield from tasks


@contextmanager
def _threads_each(count: int) -> Iterator[None]:
    """The number of PyTorch's threads for each thread that begins to use it now."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def apart(todo: list[ImageTask]) -> list[list[ImageTask]]:
    """Tasks in lists that do not depend on one another: one list has the fidelities of an image, which is searched once, and
    files of one name, whose results may have to be told apart."""
    together: dict[tuple[Path, str], list[ImageTask]] = {}
    for task in todo:
        together.setdefault((task.target.parent, task.source.stem.casefold()), []).append(task)
    return list(together.values())


def _shared(context: RunContext) -> RunContext:
    """The same with networks that take turns; a recogniser locks itself."""
    turn = Lock()

    def share(network: Any) -> Any:
        return None if network is None else SharedNetwork(network, turn, context.options.batch)

    others = {one.name: share(getattr(context.networks, one.name)) for one in fields(Extras) if one.name != "people"}
    return replace(
        context,
        restorer=share(context.restorer),
        detector=share(context.detector),
        background=share(context.background),
        networks=replace(context.networks, **others),
    )


def _stop_if(stop: Event, done: int, total: int) -> None:
    if stop.is_set():
        raise Stopped
