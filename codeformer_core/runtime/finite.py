"""The check of every network's output: values that are not finite stop the run, with the name of what they come from."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def check_finite(output: Tensor, network: object, given: Tensor | None = None, what: str = "image") -> Tensor:
    """The output of a network itself when all of it is finite.

    Args:
        network: its `file` is named; where it is a module, its weights are looked at.
        given, what: what the network was given, see `check_pixels`.

    Raises:
        RuntimeError: some values are NaN or infinite: in what was given, in the weights, or by the calculation.
    """
    if all_finite(output):
        return output
    if given is not None:
        check_pixels(given, what)
    module = network if isinstance(network, nn.Module) else getattr(network, "network", None)  # the host's wrappers
    name = getattr(module, "file", "") or getattr(network, "file", "") or "The network"
    broken = broken_weights(module.state_dict()) if isinstance(module, nn.Module) else ""
    if broken:
        raise RuntimeError(f"{name} has weights that are not finite ({broken}), so nothing was changed. Load another file.")
    raise RuntimeError(
        f"{name} gave values that are not finite, and not because of the image, so nothing was pasted. Use another "
        "precision, device or file."
    )


def all_finite(*tensors: Tensor) -> bool:
    """Whether no value is NaN or infinite: by the extremes, ten times as fast as value by value, and without a copy."""
    return bool(extremes(*tensors).isfinite().all())  # one answer, for which a GPU must be waited for once


def extremes(*tensors: Tensor) -> Tensor:
    """The least and the largest value of each tensor that has any, float32; NaN where one of its values is."""
    filled = (tensor.float() if tensor.itemsize == 1 else tensor for tensor in tensors if tensor.numel())  # float8 has none
    found = [extreme.float() for tensor in filled for extreme in tensor.aminmax()]
    return torch.stack(found) if found else torch.zeros(0, device=tensors[0].device if tensors else None)


def broken_weights(state: Mapping[str, Tensor]) -> str:
    """The first tensor with values that are not finite, and how many more there are; "" when there is none."""
    broken = [key for key, value in state.items() if value.is_floating_point() and not all_finite(value)]
    return broken[0] + (f" and {len(broken) - 1:,} more" if len(broken) > 1 else "") if broken else ""


def check_pixels(images: Tensor, what: str = "image") -> Tensor:
    """Images, crops ("face") or masks ("mask") (N, ...) themselves when all of their pixels are finite.

    Raises:
        RuntimeError: some are not; which of the N hold them.
    """
    if all_finite(images):
        return images
    broken = [str(row + 1) for row, good in enumerate(images.isfinite().flatten(1).all(1).tolist()) if not good]
    where = "the image" if what == "image" and len(images) == 1 else f"{what} {', '.join(broken)}"
    raise RuntimeError(
        f"Found pixels that are not finite (NaN or infinity) in {where}, so nothing was pasted. Look for the step before that "
        "made them, or give another image."
    )


def without_nan(images: Tensor) -> Tensor:
    """Images (B, C, H, W) as a detector may see them: pixels that are not finite are black, lest one hides every face."""
    asked = images.device.type == "cpu"  # a GPU copies an image sooner than it answers
    return images if asked and all_finite(images) else images.nan_to_num(0.0, 0.0, 0.0)
