"""The host's side of the pack: model files, memory, progress and pictures. The only file that touches `comfy` and
`folder_paths`."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import comfy.model_management as mm
import comfy.model_patcher
import comfy.ops
import comfy.utils
import folder_paths
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from comfy_execution.utils import get_executing_context
from torch import Tensor

from ..codeformer_core import checkpoints
from ..codeformer_core.parts import fitted

log = logging.getLogger(__name__)
T = TypeVar("T")

#: The host's name for the folder that holds the files of a role, and the directory under models/ that it means by default.
FOLDERS = {
    "restorer": ("facerestore_models", "facerestore_models"),
    "detector": ("facedetection_models", "facedetection"),
    "parser": ("facedetection_models", "facedetection"),
}
SUFFIXES = folder_paths.supported_pt_extensions | {".onnx"}

#: The largest number of pictures that one call of a network gets on an accelerator: beyond it a call is no faster.
MOST_AT_ONCE = 8


def _folders(role: str) -> list[str]:
    """The folders whose files a loader lists: as the user configured them, and ours. New files go to the first.

    Asked for every time, because some packs overwrite the host's table when they are imported after this one.
    """
    key, directory = FOLDERS[role]
    table = folder_paths.folder_names_and_paths
    is_new = key not in table
    folder_paths.add_model_folder_path(key, os.path.join(folder_paths.models_dir, directory))
    paths, suffixes = table[key]
    if is_new or suffixes:  # an empty set lets every file through: that is the choice of whoever made it
        table[key] = (paths, {*suffixes, *SUFFIXES})
    return list(paths)


def _places(model: checkpoints.ModelFile) -> list[Path]:
    """Where a published file may lie: beside our own folders, wherever other packs keep it and the user told the host of."""
    keys = [key for key in (*model.folders, "detection") if key in folder_paths.folder_names_and_paths]
    configured = [path for key in keys for path in folder_paths.get_folder_paths(key)]
    return [Path(path) for path in (*_folders(model.role), *configured, folder_paths.models_dir)]


def _on_disk(role: str) -> dict[str, Path]:
    """Files that may hold a network of this role, by the name that a combo shows."""
    found: dict[str, Path] = {}
    for folder in _folders(role):
        names, _ = folder_paths.recursive_search(folder, excluded_dir_names=[".git"])
        for name in folder_paths.filter_files_extensions(names, SUFFIXES):
            model = checkpoints.lookup(os.path.basename(name))
            if model is None or model.role == role:
                found.setdefault(name, Path(folder, name))
    return found


def _published(role: str) -> dict[str, checkpoints.ModelFile]:
    """The files of this role that can be fetched, by name."""
    return {model.file: model for model in checkpoints.catalogue() if model.role == role}


def model_names(role: str) -> list[str]:
    """What a loader offers: the published files first, on disk or not, then every other file on disk."""
    return list(dict.fromkeys([*_published(role), *sorted(_on_disk(role))]))


def _locate(role: str, name: str) -> Path | checkpoints.ModelFile:
    """The file on disk, or the published one to fetch. `name` is not trusted: it is looked up, never joined to a path."""
    path = _on_disk(role).get(name)
    if path is not None:
        return path
    model = checkpoints.lookup(name)
    if model is None or model.role != role:
        raise FileNotFoundError(
            f"{name!r} is not on disk and not a published file. Put it into {_folders(role)[0]}, or choose one of these: "
            f"{', '.join(model_names(role))}."
        )
    return checkpoints.find(model.name, _places(model)) or model


def fingerprint(role: str, name: str) -> str:
    """Changes when the file behind a name changes, so that the host loads it again."""
    path = _locate(role, name)
    if not isinstance(path, Path):
        return "not on disk"
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def read(role: str, name: str) -> Any:
    """The network of a file that the user chose; a published file that is not on disk is fetched.

    Raises:
        ValueError, OSError: a sentence for the user: no such file, not a network of this role, or it cannot be fetched.
    """
    path = _locate(role, name)
    if not isinstance(path, Path):
        folder = Path(_folders(role)[0])
        say(f"Fetching {path.file} ({path.described}) to {folder}. {path.notice}")
        path = checkpoints.fetch(path, folder, progress())
    network = checkpoints.load(path, comfy.ops.manual_cast)
    if network.role != role:
        raise ValueError(f"{name} is a face {network.role}; a face {role} is needed here. Choose another file in this node.")
    return network


class Hosted:
    """A network that the host's memory manager places before each call and may evict between calls.

    Attributes:
        network: the core's network.
        patcher: how the host knows it; None for a network that only runs on the CPU, outside the host's care.
        device: where it runs.
        most: the largest number of pictures in one call; halved for good when memory runs out.
    """

    #: Whether every layer casts its weights when it runs, so that the host may leave some of them in main memory.
    casts = False

    def __init__(self, network: Any) -> None:
        self.network = network
        self.patcher = None
        self.device = torch.device("cpu")
        if isinstance(network, torch.nn.Module):
            if self.casts or mm.vram_state != mm.VRAMState.NO_VRAM:  # --novram never moves the weights of plain layers
                self.device = mm.get_torch_device()
            self.patcher = comfy.model_patcher.CoreModelPatcher(
                network, load_device=self.device, offload_device=mm.unet_offload_device()
            )
        self.most = 1 if mm.is_device_cpu(self.device) else MOST_AT_ONCE

    def at_once(self, height: int, width: int) -> int:
        """How many pictures of this size one call takes: 1 on the CPU, else what fits into free memory, up to 8."""
        count = self.most
        if count > 1:
            free = mm.get_free_memory(self.device) - (self.patcher.model_size() - self.patcher.loaded_size())
            while count > 1 and self.network.memory_used(count, height, width) > free:
                count //= 2
        return count

    def in_parts(self, call: Callable[[slice], T], count: int, height: int, width: int) -> list[T]:
        """`call(part)` for consecutive parts of 0 to `count`, each placed by the host, halved when memory runs out."""
        results: list[T] = []
        start = 0
        while start < count:
            mm.throw_exception_if_processing_interrupted()
            size = min(self.at_once(height, width), count - start)
            if self.patcher is not None:
                needed = self.network.memory_used(size, height, width)
                mm.load_models_gpu([self.patcher], memory_required=needed, force_full_load=not self.casts)
            result = self._attempt(call, slice(start, start + size))
            if result is None:  # out of memory; only now is the traceback gone, and with it the failed call's tensors
                mm.soft_empty_cache()
                self.most = size // 2
                log.warning("Out of memory with %d at once; going on with %d.", size, self.most)
            else:
                results.append(result)
                start += size
        return results

    def _attempt(self, call: Callable[[slice], T], part: slice) -> T | None:
        try:
            return call(part)
        except (mm.OOM_EXCEPTION, mm.ACCELERATOR_ERROR) as error:
            mm.raise_non_oom(error)
            if part.stop - part.start == 1:
                raise
            return None

    def here(self, images: Tensor) -> Tensor:
        """Images where the network runs, in the type of its arithmetic."""
        return images.to(self.device, torch.float32)


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


def say(text: str) -> None:
    """Write a sentence to the log and below the running node."""
    log.info(text)
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
        images = torch.cat([images, fitted(alpha, *images.shape[-2:]).to(images)], dim=1)
    return images.movedim(1, -1).to(mm.intermediate_device(), mm.intermediate_dtype()).contiguous()


def from_mask(mask: Tensor) -> Tensor:
    """A MASK (B, H, W) or (H, W) -> masks (B, 1, H, W) float32."""
    return mask.float().reshape(-1, 1, *mask.shape[-2:])


def to_mask(masks: Tensor) -> Tensor:
    """Masks (B, 1, H, W) -> a MASK (B, H, W)."""
    return masks[:, 0].to(mm.intermediate_device(), mm.intermediate_dtype())


def some(crops: Tensor) -> Tensor | ExecutionBlocker:
    """Crops (N, 3, S, S) -> an IMAGE; without any, what keeps the host from running the nodes behind: none takes no picture."""
    return to_host(crops) if len(crops) else ExecutionBlocker(None)


def some_masks(masks: Tensor) -> Tensor | ExecutionBlocker:
    """Masks (N, 1, S, S) -> a MASK; without any as `some`."""
    return to_mask(masks) if len(masks) else ExecutionBlocker(None)
