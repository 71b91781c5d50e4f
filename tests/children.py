"""Processes that a test starts and sends signals to: with the default handlers, and killed when they do not end."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def default_handlers() -> None:
    """Handle signals by default in this process, whatever it has inherited: nohup and shells ignore some in the background."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


@contextmanager
def child(argv: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of the project's folder; what has not ended when the `with` does is killed."""
    if os.name == "posix":
        options = {"preexec_fn": default_handlers, **options}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    process = subprocess.Popen(argv, **{**pipes, **options})
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def workers_of(node: Any) -> list[int]:
    """The processes of the actors on a node of Ray."""
    import psutil

    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [one.pid for one in raylet.children(recursive=True) if "MapWorker" in "".join(one.cmdline())]
