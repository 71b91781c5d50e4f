"""What is the same for every image or video of a run."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..options import FixOptions
from ..pipeline import Extras
from ..runtime.progress import Progress, no_progress
from .arguments import Arguments
from .inputs import read_mask
from .plan import ImageTask


class ImageResult(NamedTuple):
    """What became of an image or video: sentences for the user, and how many faces were found and changed."""

    lines: list[str]
    found: int
    changed: int


@dataclass(frozen=True, eq=False)
class RunContext:
    """The arguments, the networks on their device, the progress bars, and the names that are in use.

    Attributes:
        options: those of the arguments, with what the networks decide (`upscale`, `batch`).
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
        """Reserve the name of a file that was not planned: a ValueError when it is an input or another's result."""
        if path.resolve() in self.reserved:
            raise ValueError(
                f"it would be written to {path}, which is an input or the result of another input. Add another --suffix."
            )
        self.reserved.add(path.resolve())
