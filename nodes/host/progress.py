"""Progress, Cancel and messages of the running node."""

import logging
from collections.abc import Callable

import comfy.model_management as mm
import comfy.utils
from comfy_execution.utils import get_executing_context

from . import language

log = logging.getLogger(__name__)


def progress() -> Callable[[int, int], None]:
    """A callback (done, total) that moves the running node's progress bar and raises when the user cancelled."""
    bar = comfy.utils.ProgressBar(1)

    def tick(done: int, total: int) -> None:
        mm.throw_exception_if_processing_interrupted()
        if total > 0:
            bar.update_absolute(done, total)

    return tick


def log_and_show(text: str) -> None:
    """Write a sentence to the log and below the running node."""
    log.info(text)
    show(text)


def show(text: str) -> None:
    """Write a sentence below the running node, in the language of its user."""
    context = get_executing_context()
    if context is not None:
        from server import PromptServer  # the host has it; importing it here keeps the nodes usable without a server

        PromptServer.instance.send_progress_text(language.translate(text), context.node_id)
