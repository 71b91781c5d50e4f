"""Memory: networks that the host's memory manager places before each call, in batches that fit, with Cancel between layers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, TypeVar

import comfy.model_management as mm
import comfy.model_patcher
import torch
from comfy.patcher_extension import CallbacksMP
from comfy_execution.utils import get_executing_context
from torch import Tensor

from ...codeformer_core.runtime.batching import MAX_BATCH, BatchLimit, largest_batch, run_in_batches
from ...codeformer_core.runtime.out_of_memory import is_out_of_memory

T = TypeVar("T")


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
        self._limit = BatchLimit()

    @classmethod
    def home(cls) -> torch.device:
        """Where a network of torch's layers runs."""
        if cls.casts or mm.vram_state != mm.VRAMState.NO_VRAM:  # --novram never moves the weights of plain layers
            return mm.get_torch_device()
        return torch.device("cpu")

    def at_once(self, height: int, width: int) -> int:
        """How many images of this size one call takes: 1 on the CPU, else what fits into free memory, up to the limit."""
        most = min(self.most, self.limit().most)
        if most == 1 or self.patcher is None:
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

        def call_cancellable(part: slice) -> T:
            with nullcontext() if self.casts or self.patcher is None else cancellable(self.network):
                return call(part)

        parts = run_in_batches(
            call_cancellable,
            count,
            lambda: self.at_once(height, width),
            limit=self.limit(),
            prepare=place_for,
            # The host is asked first, since it also discards CUDA's pending asynchronous error.
            out_of_memory=lambda error: mm.is_oom(error) or is_out_of_memory(error),
            release=mm.soft_empty_cache,
        )
        return [result for _, result in parts]

    def over_parts(self, call: Callable[[slice, Tensor], T], images: Tensor) -> list[T]:
        """`call(part, images of that part on the device)` for the parts of images (N, 3, H, W), as `in_parts`."""
        return self.in_parts(lambda part: call(part, self.to_device(images[part])), len(images), *images.shape[-2:])

    def joined(self, call: Callable[[slice, Tensor], Tensor], images: Tensor) -> Tensor:
        """The results of `over_parts`, joined, where and as the images are."""
        return torch.cat(self.over_parts(lambda part, given: call(part, given).to(images), images))

    def limit(self) -> BatchLimit:
        """The largest batch of the running execution: halved when memory runs out, full again in the next execution.

        Calls outside any execution, such as those from another thread, count as one.
        """
        context = get_executing_context()
        execution = None if context is None else (context.prompt_id, context.node_id)
        if execution != self._execution:
            self._execution, self._limit = execution, BatchLimit()
        return self._limit

    def to_device(self, images: Tensor) -> Tensor:
        """Images where the network runs, in the type of its arithmetic, without what is brighter than white."""
        return images.to(self.device, torch.float32).clamp(0, 1)


@contextmanager
def cancellable(network: torch.nn.Module) -> Iterator[None]:
    """Meanwhile every layer of a network looks for Cancel before it works, as the host's own layers do."""
    with ExitStack() as hooks:
        for layer in network.modules():
            hooks.enter_context(layer.register_forward_pre_hook(lambda *_: mm.throw_exception_if_processing_interrupted()))
        yield


def keep_outside(patcher: Any, weight_bytes: int, release: Callable[[], None]) -> None:
    """Tell the host how much memory a network takes outside torch, and have it released when the host unloads the network."""
    patcher.size = weight_bytes
    patcher.add_callback(CallbacksMP.ON_DETACH, lambda _, unload: release() if unload else None)


def place(patcher: comfy.model_patcher.ModelPatcher, memory: int) -> torch.device:
    """Where a network of plain layers runs, once the host has placed it and freed `memory` bytes for activations."""
    mm.throw_exception_if_processing_interrupted()
    mm.load_models_gpu([patcher], memory_required=memory, force_full_load=True)
    # --novram never moves the weights of plain layers
    return torch.device("cpu") if mm.vram_state == mm.VRAMState.NO_VRAM else patcher.load_device
