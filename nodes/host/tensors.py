"""IMAGE and MASK to the core's tensors and back: channels last and first, alpha apart, the host's device and dtype.

Values that other nodes made wrong are refused here and nowhere else, with a sentence that names the input.
"""

import math
from typing import Any

import comfy.model_management as mm
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ...codeformer_core.faces import Size
from ...codeformer_core.imaging.resize import fit_over, resize
from ...codeformer_core.runtime.finite import all_finite

#: The share of free memory that images may take: whatever they are given to needs some too.
SHARE = 0.9


#: Images of 8 bits that nobody scaled to 0 to 1 have larger values than this; those of high dynamic range have no larger ones.
LARGEST = 16.0


def to_core(image: Tensor, name: str = "image", finite: bool = False) -> tuple[Tensor, Tensor | None]:
    """An IMAGE (B, H, W, 3 or 4) -> colours (B, 3, H, W) float32, and alpha (B, 1, H, W) float32 where there is one.

    Args:
        name: the input that it came in by.
        finite: refuse pixels that are not finite; else they stay, and networks see black (`HostedDetector`) or refuse them.

    Raises:
        ValueError: no images, or values of another range.
    """
    image = _floats(image, name, "an IMAGE of the shape (images, height, width, 3 or 4)")
    if image.ndim == 4 and image.shape[-1] in (1, 2):
        raise ValueError(
            f"Found {image.shape[-1]} colour channels at {name}. Expected 3, or 4 with transparency: use Convert Image to Mask "
            "(red) and Convert Mask to Image before this node."
        )
    if image.ndim != 4 or image.shape[-1] not in (3, 4) or not image.numel():
        raise ValueError(
            f"Found a tensor of the shape {tuple(image.shape)} at {name}. Expected (images, height, width, 3 or 4) and at "
            "least one pixel: look at the node that it comes from."
        )
    if finite:
        _check_finite(image, name)
    if (largest := _largest(image)) > LARGEST:
        raise ValueError(f"Found values up to {largest:g} at {name}. Expected 0 to 1: divide values of 8 bits by 255.")
    channels_first = image.movedim(-1, 1)
    return channels_first[:, :3], channels_first[:, 3:] if channels_first.shape[1] > 3 else None


def _largest(images: Tensor) -> float:
    """The largest finite value of images (B, H, W, C), either way from 0."""
    low, high = (float(value) for value in torch.aminmax(images))
    if math.isfinite(low) and math.isfinite(high):
        return max(-low, high)
    return max(float(image.abs().nan_to_num(0, 0).amax()) for image in images)  # one by one, since this makes copies


def _floats(value: Any, name: str, expected: str) -> Tensor:
    """A tensor from another node as float32 on the host's device, without gradients; a ValueError for what is none."""
    if not isinstance(value, Tensor) or value.is_meta or value.layout != torch.strided or value.is_quantized:
        found = type(value).__name__ if not isinstance(value, Tensor) else f"a tensor without plain values ({value.layout})"
        raise ValueError(f"Found {found} at {name}. Expected {expected}: connect another node.")
    if not (value.is_floating_point() or value.dtype == torch.bool):
        raise ValueError(
            f"Found values of the type {value.dtype} at {name}. Expected numbers from 0 to 1: connect another node."
        )
    return value.detach().to(mm.intermediate_device(), torch.float32)


def _check_finite(values: Tensor, name: str) -> None:
    """A ValueError that names the first images (B, ...) with values that are not finite."""
    if all_finite(values):
        return
    broken = [str(index + 1) for index, good in enumerate(values.isfinite().flatten(1).all(1).tolist()) if not good]
    raise ValueError(
        f"Found values that are not finite at {name}, number {', '.join(broken[:5])}. Expected 0 to 1, so nothing was "
        "changed: look at the node that they come from."
    )


def check_crops(crops: Tensor) -> None:
    """A ValueError for crops (N, 3, S, S) that must not be pasted."""
    _check_finite(crops, "faces")


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


def from_mask(mask: Tensor, name: str = "mask") -> Tensor:
    """A MASK (B, H, W), (H, W) or (B, 1, H, W) -> masks (B, 1, H, W) float32 in [0, 1].

    Args:
        name: the input that it came in by.

    Raises:
        ValueError: no masks, or values that are not finite.
    """
    mask = _floats(mask, name, "a MASK of the shape (masks, height, width)")
    if not mask.numel() or not (mask.ndim in (2, 3) or (mask.ndim == 4 and mask.shape[1] == 1)):
        raise ValueError(
            f"Found a tensor of the shape {tuple(mask.shape)} at {name}. Expected (masks, height, width) and at least one "
            "pixel: look at the node that it comes from."
        )
    masks = mask.reshape(-1, 1, *mask.shape[-2:])
    _check_finite(masks, name)
    return masks.clamp(0, 1)


def mask_over(size: Size, mask: Tensor | None, name: str = "mask") -> tuple[Tensor | None, str]:
    """A MASK over images of a size, (H, W), see `from_mask`, and what to say of one that is stretched out of its proportions.

    The host's own nodes stretch masks too; the MASK of Load Image without transparency is 64 x 64 and black all over.
    """
    if mask is None:
        return None, ""
    masks, (height, width) = from_mask(mask, name), size
    if fit_over(masks, height, width):
        return masks, ""
    return masks, (
        f"The mask is {masks.shape[-1]} x {masks.shape[-2]} and the image {width} x {height}: it is stretched. If it belongs "
        "to another image, connect the mask of this one."
    )


def to_mask(masks: Tensor) -> Tensor:
    """Masks (B, 1, H, W) -> a MASK (B, H, W)."""
    return masks[:, 0].to(mm.intermediate_device(), mm.intermediate_dtype())


def image_or_blocker(crops: Tensor) -> Tensor | ExecutionBlocker:
    """Crops (N, 3, S, S) -> an IMAGE; without any, what keeps the host from running the nodes that follow."""
    return to_host(crops) if len(crops) else ExecutionBlocker(None)


def mask_or_blocker(masks: Tensor) -> Tensor | ExecutionBlocker:
    """Masks (N, 1, S, S) -> a MASK; without any as `image_or_blocker`."""
    return to_mask(masks) if len(masks) else ExecutionBlocker(None)


def given_or_blocker(image: Tensor | None) -> Tensor | ExecutionBlocker:
    """An IMAGE itself; without one as `image_or_blocker`."""
    return ExecutionBlocker(None) if image is None else image
