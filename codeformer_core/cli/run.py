"""The loop of every command on images or videos: plan, load the networks, do one file after the other, report."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from ..faces import Size
from ..runtime.atomic_write import refuse_unwritable, remove_abandoned
from ..runtime.progress import Tick
from .arguments import Arguments
from .cluster import ClusterError
from .cluster import on_cluster as images_on_cluster
from .commands import COMMANDS
from .contents import Media, expanded
from .context import RunContext
from .local import Process, one_by_one, side_by_side
from .masks import misfit, size_of_image
from .networks import device_of, load_networks
from .plan import ImageTask, folder_of, has_result, plan, too_long
from .process import keep_memory
from .report import ImageResult, Outcome
from .review import begin_review, write_review
from .signals import interrupted_status

#: Does tasks on a cluster, as the functions of `local` do them on this machine.
OnCluster = Callable[[list[ImageTask], dict[ImageTask, Outcome], RunContext], Generator[ImageTask, None, None]]

#: Loads the networks of a command onto a device.
Load = Callable[[Arguments, torch.device], RunContext]


def process_all(
    arguments: Arguments,
    media: Media,
    process: Process,
    load: Load = load_networks,
    size_of: Callable[[Path], Size | None] = size_of_image,
    on_cluster: OnCluster | None = None,
) -> int:
    """Do a command; what has a result from before is not done again, unless --overwrite says so.

    Args:
        load: called when something is to be done.
        size_of: see `masks.misfit`.
        on_cluster: None is `images_on_cluster`.

    Returns:
        The exit status: 0 everything done, 1 some failed, 2 usage, 128 + a signal when one ended it.
    """
    status = 2  # wrong usage, until there is a plan
    try:
        arguments = replace(arguments, paths=expanded(arguments.paths))
        (tasks, notes, unreadable) = plan(arguments, media)
        device = device_of("cpu" if arguments.cluster else arguments.device)
        review = begin_review(arguments, tasks)
        status = 1
        if notes and not arguments.quiet:
            tqdm.write("\n".join(notes), file=sys.stderr)
        for folder in {file.parent for task in tasks for file in (task.target, task.crops) if file}:
            remove_abandoned(folder)
        outcomes = {task: _before(task, arguments, size_of) for task in tasks}
        todo = [task for task in tasks if outcomes[task].status == "not begun"]
        if not arguments.cluster:  # whose machines may have the folder where this one has not
            files = [review.report, review.gallery, arguments.save_faces]
            folders = [folder_of(arguments, tasks), arguments.save_crops, *(file.parent for file in files if file)]
            refuse_unwritable(folder for folder in folders if folder and todo)
        if device.type == "cpu":
            keep_memory()
        local = todo and not arguments.cluster
        context = load(arguments, device) if local else RunContext(arguments, device, arguments.options)
    except (OSError, ValueError, ImportError) as error:
        tqdm.write(f"codeformer {arguments.command}: {error}", file=sys.stderr)
        return status
    context.reserved.update(path.resolve() for task in tasks for path in (task.source, task.target))
    begun = time.perf_counter()
    on_cluster = on_cluster or partial(images_on_cluster, process=process)
    status = _process_each(outcomes, todo, context, media, process, size_of, on_cluster)
    failures = unreadable + [outcome.error for outcome in outcomes.values() if outcome.status == "failed"]
    said = [_summary(list(outcomes.values()), media, COMMANDS[arguments.command].done, time.perf_counter() - begun)]
    try:
        said += write_review(review, arguments.command, list(outcomes.values()))
    except OSError as error:
        failures.append(str(error))
    if not arguments.quiet:
        tqdm.write("\n".join(said))
    for failure in failures:
        tqdm.write(f"failed: {failure}", file=sys.stderr)
    return status or (1 if failures else 0)


def _before(task: ImageTask, arguments: Arguments, size_of: Callable[[Path], Size | None]) -> Outcome:
    """What is known of a task before the work: it was done before, cannot be done, or is to be done."""
    if has_result(arguments, task):
        return Outcome(task.source, "done before", result=ImageResult(task.target, before=True))
    wrong = too_long(arguments, task) or misfit(arguments, task, size_of)
    return Outcome(task.source, "failed", error=f"{task.source}: {wrong}") if wrong else Outcome(task.source, "not begun")


def _process_each(
    outcomes: dict[ImageTask, Outcome],
    todo: list[ImageTask],
    context: RunContext,
    media: Media,
    process: Process,
    size_of: Callable[[Path], Size | None],
    on_cluster: OnCluster,
) -> int:
    """Do some of the tasks; what becomes of them goes into `outcomes`. Returns 0, or 128 + the signal that ended it."""
    quiet = context.arguments.quiet
    hidden = quiet or None  # None: where there is no terminal
    clustered = bool(context.arguments.cluster and todo)
    alone = len(todo) <= 1 or media.name == "video"  # where all cores have work, and its own progress is shown

    def stopping() -> None:
        if not quiet:
            tqdm.write("Stopping: images that are being worked on are cancelled at their next face.", file=sys.stderr)

    with (
        tqdm(total=len(todo), unit=media.name, disable=hidden, position=0) as bar,
        tqdm(total=0, disable=hidden if alone and not clustered else True, position=1, leave=False) as parts,
    ):
        context = replace(context, progress=partial(_progress, parts))
        if clustered:
            finished = on_cluster(todo, outcomes, context)
        elif alone:
            finished = one_by_one(todo, outcomes, context, process)
        else:
            finished = side_by_side(todo, outcomes, context, process, size_of, stopping)
        try:
            with closing(finished):
                for task in finished:
                    outcome = outcomes[task]
                    if outcome.status == "done" and outcome.result and not quiet:
                        tqdm.write("\n    ".join(outcome.result.lines))
                    bar.update()
        except KeyboardInterrupt as stop:
            return interrupted_status(stop)
        except ClusterError as error:
            tqdm.write(f"codeformer {context.arguments.command}: {error}", file=sys.stderr)
            return 1
    return 0


def _summary(outcomes: list[Outcome], media: Media, changed: str, seconds: float) -> str:
    counts = Counter(outcome.status for outcome in outcomes)
    results = [outcome.result for outcome in outcomes if outcome.result]
    found, worked_on = sum(result.found for result in results), sum(result.changed for result in results)
    before = f", {counts['done before']} done before (--overwrite does them again)" if counts["done before"] else ""
    left = "".join(f", {counts[status]} {status}" for status in ("stopped", "not begun") if counts[status])
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
