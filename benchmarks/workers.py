"""A process of its own for ours and for the official code, each doing what it is told and waiting for its turn."""

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
    """What a worker works with.

    Attributes:
        device: as torch calls it.
        folder: where made-up weights and clips are kept.
        tiny: whether the networks are tiny.
        reference: the official code's folder; None for ours.
        environment: set before anything is imported.
    """

    device: str
    folder: Path
    tiny: bool
    reference: Path | None
    environment: Mapping[str, str]


class Worker:
    """The other side of a process. A context manager, which ends it."""

    def __init__(self, setting: Setting) -> None:
        context = get_context("spawn")
        self._line, other = context.Pipe()
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
        """Get ready for a case; False when there is nothing like it there."""
        return self._ask(("prepare", case))

    def round(self) -> list[float]:
        """Do it once: seconds in the order of `Case.steps`."""
        return self._ask(("round", None))

    def peak(self) -> int | None:
        """Bytes needed at most since the case was prepared, see `clock.Peak`."""
        return self._ask(("peak", None))

    def _ask(self, question: tuple[str, Case | None]) -> Any:
        self._line.send(question)
        try:
            good, answer = self._line.recv()
        except EOFError:
            raise RuntimeError(f"The process that measures ended at {question[0]} (no memory left, perhaps).") from None
        if not good:
            raise RuntimeError(answer)
        return answer

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._line.close()
        self._process.terminate()
        self._process.join()


def _serve(line: Connection, setting: Setting) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    if setting.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the official code takes a GPU wherever there is one
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.suppress(EOFError):
        answers: dict[str, Callable[[Any], Any]] | None = None
        while True:
            question, case = line.recv()
            try:
                answers = answers or _answers(setting)
                line.send((True, answers[question](case)))
            except Exception as error:  # noqa: BLE001 - it rises in `_ask`; the official code may raise anything
                line.send((False, f"{type(error).__name__}: {error}"))


def _answers(setting: Setting) -> dict[str, Callable[[Any], Any]]:
    """How each question is answered. torch is imported here, where the environment is set."""
    import torch

    from benchmarks import ours
    from benchmarks.clock import Peak

    prepares: Mapping[str, Callable[[Case, Any], ours.Round]] = ours.PREPARE
    materials: Any
    if setting.reference is None:
        materials = ours.Materials(setting.device, setting.folder, setting.tiny)
    else:
        from benchmarks import official

        warnings.simplefilter("ignore")  # it was written for older versions of torch
        prepares = official.PREPARE
        materials = official.Official(setting.device, setting.folder, setting.reference)
    held: dict[str, Any] = {}

    def prepare(case: Case) -> bool:
        held.clear()
        if case.name not in prepares:
            return False
        held["round"] = prepares[case.name](case, materials)
        held["peak"] = Peak(torch.device(setting.device))
        return True

    return {"prepare": prepare, "round": lambda _: held["round"](), "peak": lambda _: held["peak"].bytes()}
