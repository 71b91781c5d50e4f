"""IMAGE and MASK to the core's tensors and back: channels last and first, alpha apart, the host's device and dtype."""

import comfy.model_management as mm
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ...codeformer_core.imaging.resize import resize

#: The share of free memory that images may take: whatever they are given to needs some too.
SHARE = 0.9


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
    """Crops (N, 3, S, S) -> an IMAGE; without any, what keeps the host from running the nodes that follow."""
    return to_host(crops) if len(crops) else ExecutionBlocker(None)


def mask_or_blocker(masks: Tensor) -> Tensor | ExecutionBlocker:
    """Masks (N, 1, S, S) -> a MASK; without any as `image_or_blocker`."""
    return to_mask(masks) if len(masks) else ExecutionBlocker(None)
