"""The training loop: from a configuration to the files of a run."""

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from . import distributed, saving
from .config import Config
from .dataset import Batch, Sampler
from .learner import Run

#: Batches prepared in advance.
PREFETCHED = 4


def train(config: Config, quiet: bool = False) -> int:
    """Train, or resume, until the configured steps are done.

    SIGINT and SIGTERM end the run after the current step, with everything saved.

    Returns:
        How many steps are done. `network.pth` in the run's folder is what `codeformer_core.checkpoints.load` loads, from
        stage II on; in stage I it has no transformer yet.

    Raises:
        ValueError: the folder of faces, the file to start from or the state to resume from does not fit.
        FloatingPointError: a loss is not finite; what was saved before stays.
    """
    with distributed.process_group() as process, _folder(config.out):
        run = Run(config, process)
        if state := saving.load(config.out / "state.pt"):
            run.resume(state)
        _loop(run, quiet or not process.is_main)
        run.save()
        return run.step


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make a folder, and remove what was made of it if an error comes before there is anything in it."""
    new = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # not empty
            for one in new:
                one.rmdir()
        raise


def _loop(run: Run, quiet: bool) -> None:
    config, steps = run.config, run.config.optimiser.steps
    run.sampler(run.step)  # a damaged face is said before there is a log
    log = saving.Log(config.out, run.step) if run.process.is_main else None
    bar = tqdm(total=steps, initial=run.step, disable=quiet, desc=f"stage {config.stage}", mininterval=1)
    with (
        bar,
        contextlib.closing(log or contextlib.ExitStack()),
        contextlib.closing(_batches(run.sampler, run.step, steps)) as batches,
        _stopping() as stopped,
    ):
        for batch in batches:
            losses = run.learn(batch)
            if not math.isfinite(losses["loss"]):
                raise FloatingPointError(
                    f'The loss of step {run.step - 1} is not finite. Lower `rate`, or use precision = "fp32"; '
                    f"{config.out} holds the last checkpoint."
                )
            bar.update()
            if log and ((run.step - 1) % config.every.log == 0 or run.step == steps):
                log.write(run.step - 1, losses)
                bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)
            due = config.every.validation and (run.step % config.every.validation == 0 or run.step == steps)
            if log and due and (scores := run.validate()):
                log.write(run.step - 1, scores)
            if run.step % config.every.sheet == 0 or run.step == steps:
                run.sheet()
            if run.process.any(stopped()):  # all stop at the same step, otherwise the others would wait for ever
                break
            if run.step % config.every.checkpoint == 0:
                run.save()


def _batches(sampler: Sampler, first: int, last: int) -> Generator[Batch, None, None]:
    """Batches of the steps from `first` to before `last`, prefetched by threads."""
    with ThreadPoolExecutor(PREFETCHED) as pool:
        waiting: list[Future[Batch]] = [pool.submit(sampler, step) for step in range(first, min(first + PREFETCHED, last))]
        for step in range(first, last):
            batch = waiting.pop(0).result()
            if step + PREFETCHED < last:
                waiting.append(pool.submit(sampler, step + PREFETCHED))
            yield batch


@contextlib.contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Yields a function: whether SIGINT or SIGTERM has arrived. Outside of the main thread handlers cannot be installed."""
    received = threading.Event()
    previous = {}
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):
            previous[name] = signal.signal(name, lambda *_: received.set())
    try:
        yield received.is_set
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)
