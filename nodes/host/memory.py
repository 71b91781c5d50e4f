"""The host's side of the pack: memory, progress and pictures. Beside `files.py` the only file that touches the host's own
modules."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import comfy.model_management as mm
import comfy.model_patcher
import comfy.ops
import comfy.utils
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context
from torch import Tensor

from ...codeformer_core.imaging.resize import resize
from ...codeformer_core.runtime.batching import MAX_BATCH, BatchLimit, largest_batch, run_in_batches
from ...codeformer_core.runtime.out_of_memory import is_out_of_memory

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The share of free memory that pictures may take: whatever they are given to needs some too.
SHARE = 0.9


class Hosted:
    """A network that the host's memory manager places before each call and may evict between calls.

    Attributes:
        network: the core's network.
        patcher: how the host knows it; None for a network that only runs on the CPU, outside the host's care.
        device: where it runs.
        most: the largest number of images in one call.
    """

    #: Whether its layers are the host's, which cast their weights when they run, so that some may stay in main memory.
    casts = False

    def __init__(self, network: Any) -> None:
        self.network = network
        self.patcher = None
        self.device = torch.device("cpu")
        if isinstance(network, torch.nn.Module):
            self.device = self.home()
            self.patcher = comfy.model_patcher.CoreModelPatcher(
                network, load_device=self.device, offload_device=mm.unet_offload_device()
            )
        self.most = 1 if mm.is_device_cpu(self.device) else MAX_BATCH
        self._execution: tuple[str, str] | None = None
        self._batches = BatchLimit(self.most)

    @classmethod
    def home(cls) -> torch.device:
        """Where a network of torch's layers runs."""
        if cls.casts or mm.vram_state != mm.VRAMState.NO_VRAM:  # --novram never moves the weights of plain layers
            return mm.get_torch_device()
        return torch.device("cpu")

    def at_once(self, height: int, width: int, limit: BatchLimit | None = None) -> int:
        """How many images of this size one call takes: 1 on the CPU, else what fits into free memory, up to the limit."""
        most = (limit or self._limit()).most
        if most == 1:
            return 1
        free = mm.get_free_memory(self.device) - (self.patcher.model_size() - self.patcher.loaded_size())
        return largest_batch(lambda count: self.network.memory_used(count, height, width), free, most)

    def in_parts(self, call: Callable[[slice], T], count: int, height: int, width: int) -> list[T]:
        """`call(part)` for consecutive parts of 0 to `count`, each placed by the host, halved when memory runs out."""

        def place_for(size: int) -> None:
            mm.throw_exception_if_processing_interrupted()
            if self.patcher is not None:
                needed = self.network.memory_used(size, height, width)
                mm.load_models_gpu([self.patcher], memory_required=needed, force_full_load=not self.casts)

        limit = self._limit()
        parts = run_in_batches(
            self._cancellable(call),
            count,
            lambda: self.at_once(height, width, limit),
            limit=limit,
            prepare=place_for,
            out_of_memory=_out_of_memory,
            release=mm.soft_empty_cache,
        )
        return [result for _, result in parts]

    def _limit(self) -> BatchLimit:
        """The largest batch of the node's running execution: halved when memory runs out, full again in the next one."""
        context = get_executing_context()
        execution = None if context is None else (context.prompt_id, context.node_id)
        if execution is None or execution != self._execution:
            self._execution, self._batches = execution, BatchLimit(self.most)
        return self._batches

    def _cancellable(self, call: Callable[[slice], T]) -> Callable[[slice], T]:
        def watched(part: slice) -> T:
            with nullcontext() if self.casts or self.patcher is None else cancellable(self.network):
                return call(part)

        return watched

    def to_device(self, images: Tensor) -> Tensor:
        """Images where the network runs, in the type of its arithmetic."""
        return images.to(self.device, torch.float32)


def _out_of_memory(error: BaseException) -> bool:
    """By the core's table, or in the host's own words."""
    return is_out_of_memory(error) or mm.is_oom(error)


@contextmanager
def cancellable(network: torch.nn.Module) -> Iterator[None]:
    """Meanwhile every layer of a network looks for Cancel before it works, as the host's own layers do."""
    look = [part.register_forward_pre_hook(_look_for_cancel) for part in network.modules()]
    try:
        yield
    finally:
        for hook in look:
            hook.remove()


def _look_for_cancel(*_: object) -> None:
    mm.throw_exception_if_processing_interrupted()


def place(patcher: comfy.model_patcher.ModelPatcher, memory: int) -> torch.device:
    """Where a network of plain layers runs, once the host has placed it and made room for `memory` bytes of activations."""
    mm.throw_exception_if_processing_interrupted()
    mm.load_models_gpu([patcher], memory_required=memory, force_full_load=True)
    # --novram never moves the weights of plain layers
    return torch.device("cpu") if mm.vram_state == mm.VRAMState.NO_VRAM else patcher.load_device


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
    """Write a sentence below the running node."""
    context = get_executing_context()
    if context is not None:
        from server import PromptServer  # the host has it; importing it here keeps the nodes usable without a server

        PromptServer.instance.send_progress_text(text, context.node_id)


def to_core(image: Tensor) -> tuple[Tensor, Tensor | None]:
    """An IMAGE (B, H, W, 3 or 4) -> colours (B, 3, H, W) float32, and alpha (B, 1, H, W) float32 where there is one."""
    channels_first = image.movedim(-1, 1).float()
    return channels_first[:, :3], channels_first[:, 3:] if channels_first.shape[1] > 3 else None


def to_host(images: Tensor, alpha: Tensor | None = None) -> Tensor:
    """Colours (B, 3, H, W), and alpha (B, 1, H', W') fitted to them, -> an IMAGE where and as the host wants it."""
    if alpha is not None:
        images = torch.cat([images, resize(alpha, *images.shape[-2:]).to(images)], dim=1)
    return images.movedim(1, -1).to(mm.intermediate_device(), mm.intermediate_dtype()).contiguous()


def allocate_images(count: int, height: int, width: int) -> Tensor:
    """An IMAGE (B, H, W, 3) that is to be filled.

    Raises:
        ValueError: it does not fit into free memory, with the numbers.
    """
    needed, free = count * height * width * 3 * mm.intermediate_dtype().itemsize, mm.get_free_memory(mm.intermediate_device())
    if needed > free * SHARE:
        raise ValueError(
            f"{count} frames of {width} x {height} need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free. "
            "Take fewer frames, or every n-th; Fix Faces in Video repairs videos of any length in little memory."
        )
    return torch.empty(count, height, width, 3, device=mm.intermediate_device(), dtype=mm.intermediate_dtype())


def from_mask(mask: Tensor) -> Tensor:
    """A MASK (B, H, W) or (H, W) -> masks (B, 1, H, W) float32."""
    return mask.float().reshape(-1, 1, *mask.shape[-2:])


def to_mask(masks: Tensor) -> Tensor:
    """Masks (B, 1, H, W) -> a MASK (B, H, W)."""
    return masks[:, 0].to(mm.intermediate_device(), mm.intermediate_dtype())


def image_or_blocker(crops: Tensor) -> Tensor | ExecutionBlocker:
    """Crops (N, 3, S, S) -> an IMAGE; without any, what keeps the host from running the nodes behind: none takes no picture."""
    return to_host(crops) if len(crops) else ExecutionBlocker(None)


def mask_or_blocker(masks: Tensor) -> Tensor | ExecutionBlocker:
    """Masks (N, 1, S, S) -> a MASK; without any as `some`."""
    return to_mask(masks) if len(masks) else ExecutionBlocker(None)
