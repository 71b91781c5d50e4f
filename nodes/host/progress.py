"""Progress, Cancel and messages of the running node."""

import logging

import comfy.model_management as mm
import comfy.utils
from comfy.cli_args import args
from comfy_execution.utils import get_executing_context
from torch import Tensor

from . import language
from .previews import small_image

log = logging.getLogger(__name__)


class NodeProgress:
    """Called with (done, total) it moves the running node's progress bar, and raises when the user cancelled."""

    def __init__(self) -> None:
        self._bar = comfy.utils.ProgressBar(1)

    def __call__(self, done: int, total: int) -> None:
        mm.throw_exception_if_processing_interrupted()
        if total > 0:
            self._bar.update_absolute(done, total)

    def preview(self, image: Tensor) -> None:
        """Show an image (1, 3, H, W) RGB in [0, 1] in the running node, as samplers show theirs."""
        small = small_image(image[0], args.preview_size)
        self._bar.update_absolute(self._bar.current, preview=("JPEG", small, args.preview_size))


def progress() -> NodeProgress:
    """The progress of the running node."""
    return NodeProgress()


def log_and_show(*texts: str) -> None:
    """Write texts to the log and below the running node, each on lines of its own; nothing where all are empty."""
    if said := "\n".join(filter(None, texts)):
        log.info(said)
        show(said)


def show(*texts: str) -> None:
    """Write texts below the running node, each on lines of its own, in the language of its user."""
    context = get_executing_context()
    if context is not None:
        from server import PromptServer  # the host has it; importing it here keeps the nodes usable without a server

        said = "\n".join(filter(None, texts))
        PromptServer.instance.send_progress_text(language.translate(said), context.node_id)
