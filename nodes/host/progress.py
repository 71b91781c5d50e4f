"""Progress, Cancel and messages of the running node."""

import logging

import comfy.model_management as mm
import comfy.utils
import torch
from comfy.cli_args import args
from comfy_execution.utils import get_executing_context
from PIL import Image
from torch import Tensor

from ...codeformer_core.imaging.resize import resize, thumbnail_size
from . import language

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
        size = thumbnail_size(image.shape[-2], image.shape[-1], args.preview_size)
        small = resize(image.float(), *size)[0].movedim(0, -1)
        pixels = (small.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        self._bar.update_absolute(self._bar.current, preview=("JPEG", Image.fromarray(pixels), args.preview_size))


def progress() -> NodeProgress:
    """The progress of the running node."""
    return NodeProgress()


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
