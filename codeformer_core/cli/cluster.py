"""The tasks of a job on a Ray cluster: actors load the networks once and write results, the driver gets a row for each.

Ray is imported when a job asks for a cluster, never before.
"""

import logging
import math
import os
import pickle
import re
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, MutableMapping, Sequence, Set
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch

from .arguments import Arguments
from .context import RunContext
from .local import Process, attempt, failed
from .networks import device_of, load_networks
from .plan import ImageTask
from .process import keep_memory
from .report import Outcome

#: What an actor does with an item; both the item and what is returned are pickled.
Work = Callable[[Any, RunContext], Any]

#: At most so many blocks of items, the unit in which Ray hands out work and does it again: one item each in most jobs, but in a
#: job of a million a few at once, since the driver keeps a record of each.
MOST_BLOCKS = 20_000

#: How often an item is done again at which its actor has died. Then it is the cause, by the memory that it needs perhaps.
MOST_RETRIES = 3

#: Actors that die one after the other while they load the networks, before the job is given up.
MOST_DEATHS = 8

#: Shared memory of a cluster of this machine alone: only rows pass through it, no images.
ROWS_BYTES = 512 << 20

#: What is raised where Ray is not installed.
MISSING = 'needs Ray: pip install "codeformer-suite[cluster]", here and on every node of the cluster'


class ClusterError(Exception):
    """Why a job cannot go on on a cluster, in a sentence."""


def on_cluster(
    todo: Sequence[ImageTask], outcomes: MutableMapping[ImageTask, Outcome], context: RunContext, process: Process
) -> Generator[ImageTask, None, None]:
    """Do tasks on images; yields each when its outcome is known, as the functions of `local` do.

    An item that was at work on an actor or node that died is done again elsewhere. Of a task that had nothing under its name
    when the job began, what is there is then replaced, by the same bytes: so it is reported as done, with its faces.
    """
    items = list(zip(todo, _untouched(todo), strict=True))
    work = partial(_attempt, process=process)
    with closing(work_on_cluster(items, work, context.arguments, context.reserved)) as rows:
        for index, outcome in rows:
            task = todo[index]
            outcomes[task] = outcome or died(task)
            yield task


def died(task: ImageTask) -> Outcome:
    """The outcome of a task whose actors died again and again."""
    said = f"its worker has died {MOST_RETRIES + 1} times. If it ran out of memory, use fewer workers on a machine."
    return failed(task, ClusterError(said))


def _attempt(item: tuple[ImageTask, bool], context: RunContext, process: Process) -> Outcome:
    task, untouched = item
    if untouched:
        context = replace(context, arguments=replace(context.arguments, overwrite=True))
    return attempt(task, context, process)


def _untouched(todo: Sequence[ImageTask]) -> list[bool]:
    """Which tasks have no result, in any format, and no face crop in the folder of their results."""
    taken: dict[Path, set[str]] = {}  # in each folder
    for folder in {task.target.parent for task in todo}:
        names = [path.stem for path in folder.iterdir()] if folder.is_dir() else []
        taken[folder] = {*names, *(re.sub(r"_\d+$", "", name) for name in names)}
    return [task.target.stem not in taken[task.target.parent] for task in todo]


def work_on_cluster(
    items: Sequence[Any],
    work: Work,
    arguments: Arguments,
    reserved: Set[Path] = frozenset(),
) -> Generator[tuple[int, Any], None, None]:
    """Work on items in an actor pool of Ray Data, on the cluster that the arguments name.

    Args:
        items: whatever can be pickled. Each is worked on by one actor, and again by another if that one dies.
        work: a function of a module (or a `partial` of one), called as `work(item, context)` with the networks of the arguments
            on the actor's device. What it raises ends the job.
        reserved: see `RunContext`.

    Yields:
        (index of the item, what `work` returned), each item once, in the order in which they are finished. None is what has
        become of an item whose actors died again and again.

    Raises:
        ClusterError: there is no Ray or no such cluster; the networks cannot be loaded; or an actor's program is broken.
    """
    with connected(arguments.cluster or "local") as ray:
        rows = [{"index": index, "item": pickle.dumps(item)} for index, item in enumerate(items)]
        dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS))
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        workers, cores, gpus = _pool(arguments, nodes, len(items))
        # Should it die with its node, it begins anew, and some items are tried more often.
        attempts = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Attempts).remote(1 + MOST_RETRIES)
        done = dataset.map(
            _Actor,
            fn_constructor_args=(arguments, pickle.dumps(work), os.getcwd(), reserved, cores, attempts),
            # One item at a time: what waits at an actor has to wait though another is free. All actors at once, since Ray adds
            # actors only where items wait at them.
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=1
            ),
            num_cpus=cores,
            num_gpus=gpus,
        )
        left = dict.fromkeys(range(len(items)))
        try:
            for row in done.iter_rows():
                result = pickle.loads(row["result"])
                if isinstance(result, ClusterError):
                    raise result
                del left[row["index"]]
                yield row["index"], result
        except ray.exceptions.RayError as error:
            raise ClusterError(f"the cluster has given up: {error}") from error
        yield from left.items()


def _pool(arguments: Arguments, nodes: Sequence[dict[str, float]], items: int) -> tuple[int, int, float]:
    """How many actors, and the cores and the share of a GPU of each.

    One for each GPU, else for each core, unless the user says. They share out the cores, but none has more than the smallest
    node with place for one has, where it begins anew when its own is lost.

    Args:
        nodes: the resources of each.
        items: how many there are; more actors than that are not started.
    """
    each = arguments.gpus_per_worker
    share = float(any(node.get("GPU") for node in nodes)) if each is None else each

    def on(node: dict[str, float], cores: int) -> int:
        """How many fit on a node."""
        return int(min(node.get("CPU", 0) // cores, node.get("GPU", 0) / share if share else math.inf))

    workers = min(arguments.workers or max(1, sum(on(node, 1) for node in nodes)), items)
    smallest = min((int(node["CPU"]) for node in nodes if on(node, 1)), default=1)
    enough = (cores for cores in range(smallest, 1, -1) if sum(on(node, cores) for node in nodes) >= workers)
    return workers, next(enough, 1), share


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster, or to one of this machine alone that ends with the job ("local"); without telemetry."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what a user can do something about is raised
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise ClusterError(f"--cluster {MISSING}.") from error
    ours = not ray.is_initialized()
    if ours:
        handlers = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
        local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": ROWS_BYTES} if address == "local" else {}
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise ClusterError(
                f"--cluster {address}: no cluster there ({reason}). Start one with `ray start --head`, or say --cluster local. "
                "One that asks for a token needs RAY_AUTH_MODE=token, and ~/.ray/auth_token as it is on its other machines."
            ) from error
        with suppress(ValueError):  # not in the main thread
            for one, handler in handlers.items():  # Ray's own end the process in the middle of the report
                signal.signal(one, handler)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = settings.print_on_execution_start = False
    settings.max_consecutive_actor_init_deaths, settings.max_errored_blocks = MOST_DEATHS, -1  # the others go on
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


class _Attempts:
    """How often items were begun and not finished, counted by an actor that outlives those that work on them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = Counter[int]()

    def begin(self, index: int) -> bool:
        """Whether an item may be begun once more."""
        self._begun[index] += 1
        return self._begun[index] <= self._most

    def finish(self, index: int) -> None:
        del self._begun[index]


class _Actor:
    """One worker: the networks, and the work on an item."""

    def __init__(self, arguments: Arguments, work: bytes, folder: str, reserved: Set[Path], cores: int, attempts: Any) -> None:
        self._attempts = attempts
        with suppress(OSError):  # a node without that folder works on absolute paths
            os.chdir(folder)
        for set_threads in (torch.set_num_threads, cv2.setNumThreads):
            set_threads(cores)  # whatever OMP_NUM_THREADS says, which Ray hands on
        self._failure: ClusterError | None = None
        try:
            device = device_of(arguments.device)
            if device.type == "cpu":
                keep_memory()
            self._context = load_networks(replace(arguments, quiet=True), device)
            self._context.reserved.update(reserved)
            self._work: Work = pickle.loads(work)
        except (OSError, ValueError, ImportError) as error:
            self._failure = ClusterError(f"{error} (on the node {os.uname().nodename})")

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray

        result, index = None, row["index"]
        if ray.get(self._attempts.begin.remote(index)):
            try:
                result = self._failure or self._work(pickle.loads(row["item"]), self._context)
            except Exception:  # noqa: BLE001 - raised again by the driver, for which else the item would only be missing
                result = ClusterError(traceback.format_exc())
        self._attempts.finish.remote(index)
        return {"index": index, "result": pickle.dumps(result)}
