"""A process each for this project and for the official code, driven over a pipe."""

import contextlib
import os
import signal
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from .cases import Case


@dataclass(frozen=True)
class Setting:
    """Settings of a worker.

    Attributes:
        device: as torch calls it.
        folder: of synthetic weights and clips.
        tiny: whether the networks are tiny.
        reference: the official code's folder; None measures this project.
        environment: variables set before anything is imported.
        bundled: whether the networks are those that come with the project.
    """

    device: str
    folder: Path
    tiny: bool
    reference: Path | None
    environment: Mapping[str, str]
    bundled: bool = False


class Worker:
    """A process that measures; leaving the context manager ends it."""

    def __init__(self, setting: Setting) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, setting), daemon=True)
        before = {name: os.environ.get(name) for name in setting.environment}
        os.environ.update(setting.environment)  # some are read by the C library when a process starts
        try:
            self._process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
        other.close()

    def prepare(self, case: Case) -> bool:
        """Prepare a case; False where the official code has no counterpart."""
        return self._ask(("prepare", case))

    def round(self) -> list[float]:
        """Run the case once: seconds in the order of `Case.steps`."""
        return self._ask(("round", None))

    def peak(self) -> int | None:
        """Peak memory in bytes since the case was prepared, see `clock.Peak`."""
        return self._ask(("peak", None))

    def _ask(self, request: tuple[str, Case | None]) -> Any:
        self._pipe.send(request)
        try:
            succeeded, answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"The measuring process ended at {request[0]} (no memory left, perhaps).") from None
        if not succeeded:
            raise RuntimeError(answer)
        return answer

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, setting: Setting) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent process
    if setting.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the official code uses a GPU whenever one is visible
    with open(os.devnull, "w") as devnull, contextlib.redirect_stdout(devnull), contextlib.suppress(EOFError):
        handlers: dict[str, Callable[[Any], Any]] | None = None
        while True:
            request, case = pipe.recv()
            try:
                handlers = handlers or _handlers(setting)
                pipe.send((True, handlers[request](case)))
            except Exception as error:  # noqa: BLE001 - raised again in `_ask`; the official code may raise anything
                pipe.send((False, f"{type(error).__name__}: {error}"))


def _handlers(setting: Setting) -> dict[str, Callable[[Any], Any]]:
    """Request -> its handler. torch is imported here, after the environment is set."""
    import torch

    from benchmarks import ours
    from benchmarks.clock import Peak
    from benchmarks.resources import Resources, Round

    prepares: Mapping[str, Callable[[Case, Any], Round]] = ours.PREPARE
    resources: Any
    if setting.reference is None:
        resources = Resources(setting.device, setting.folder, setting.tiny, setting.bundled)
    else:
        from benchmarks import official

        warnings.simplefilter("ignore")  # it was written for older versions of torch
        prepares = official.PREPARE
        resources = official.Official(setting.device, setting.folder, setting.reference)
    current: dict[str, Any] = {}

    def prepare(case: Case) -> bool:
        current.clear()
        if case.name not in prepares:
            return False
        current["round"] = prepares[case.name](case, resources)
        current["peak"] = Peak(torch.device(setting.device))
        return True

    return {"prepare": prepare, "round": lambda _: current["round"](), "peak": lambda _: current["peak"].bytes()}
