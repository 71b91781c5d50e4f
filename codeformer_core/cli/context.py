"""What is the same for every image or video of a run: the networks, the masks and the names in use."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import image_io
from ..image_io.encode import FORMATS
from ..options import FixOptions
from ..pipeline import Extras
from ..runtime.progress import Progress, no_progress
from .arguments import Arguments
from .plan import ImageTask


@dataclass(frozen=True, eq=False)
class RunContext:
    """The arguments, the networks on their device, the progress bars, and the names that are in use.

    Attributes:
        options: those of the arguments, with the `upscale` of the networks.
        networks: the `Extras` without masks.
        reserved: files that are read or written.
    """

    arguments: Arguments
    device: torch.device
    options: FixOptions
    restorer: Any = None
    detector: Any = None
    networks: Extras = Extras()
    progress: Progress = no_progress
    reserved: set[Path] = field(default_factory=set)

    def extras(self, task: ImageTask, image: Tensor) -> Extras:
        """The networks and the masks for an image (1, 3, H, W)."""
        masks = {name: getattr(self.arguments, name) for name in ("inside", "keep_out", "fidelity_mask")}
        return replace(self.networks, **{name: read_mask(path, task, image) for name, path in masks.items()})

    def reserve(self, path: Path) -> None:
        """Reserve the name of a file that was not planned, and make its folder.

        Raises:
            ValueError: it is an input or another's result.
        """
        if path.resolve() in self.reserved:
            raise ValueError(
                f"it would be written to {path}, which is an input or the result of another input. Add another --suffix."
            )
        self.reserved.add(path.resolve())
        path.parent.mkdir(parents=True, exist_ok=True)


def read_mask(path: Path | None, task: ImageTask, image: Tensor) -> Tensor | None:
    """The mask for an image: (1, 1, h, w) in [0, 1] on its device, white (and opaque) is 1; None without a path.

    Args:
        path: one mask, for every image; or a folder with one for each, named and placed like the images.
        image: (1, 3, H, W).

    Raises:
        ValueError: there is none, or it has another aspect ratio than the image.
    """
    if path is None:
        return None
    if path.is_dir():
        folder, source = path / task.below, task.source
        names = dict.fromkeys([source.name, *(source.stem + end for end in FORMATS)])
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            raise ValueError(
                f"there is no mask for it in {folder}. Expected an image of the same name, such as {source.stem}.png."
            )
    found = image_io.read(path)
    mask = found.image.mean(1, keepdim=True) * (1 if found.alpha is None else found.alpha)
    (mask_height, mask_width), (height, width) = mask.shape[-2:], image.shape[-2:]
    if abs(mask_width * height - mask_height * width) > max(height, width):  # a side may be rounded by a pixel
        raise ValueError(
            f"the mask {path} is {mask_width} x {mask_height}, the image {width} x {height}. "
            "Expected the same proportions: make a mask of the image's size."
        )
    return mask.to(image.device)
