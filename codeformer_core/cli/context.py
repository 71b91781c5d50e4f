"""What is the same for every image or video of a run: the networks, the masks and the names in use."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..extras import Extras
from ..faces import Face
from ..options import FixOptions
from ..runtime.addresses import make_folder
from ..runtime.progress import Progress, no_progress
from .arguments import Arguments
from .masks import read_mask
from .plan import ImageTask


@dataclass(frozen=True, eq=False)
class RunContext:
    """The arguments, the networks on their device, the progress bars, and the names that are in use.

    Attributes:
        options: those of the arguments, with the `upscale` of the networks.
        networks: the `Extras` without masks.
        background: what works on the whole image, see `background`.
        files: those of all networks.
        reserved: files that are read or written.
        found: the image that was searched last, and its faces, for one of several fidelities.
    """

    arguments: Arguments
    device: torch.device
    options: FixOptions
    restorer: Any = None
    detector: Any = None
    networks: Extras = Extras()
    background: Any = None
    files: tuple[Path, ...] = ()
    progress: Progress = no_progress
    reserved: set[Path] = field(default_factory=set)
    found: dict[Path, list[Face]] = field(default_factory=dict)

    def extras(self, task: ImageTask, image: Tensor) -> Extras:
        """The networks and the masks for an image (1, 3, H, W)."""
        masks = {name: getattr(self.arguments, name) for name in ("inside", "keep_out", "fidelity_mask")}
        return replace(self.networks, **{name: read_mask(path, task, image) for name, path in masks.items()})

    def for_task(self, task: ImageTask) -> "RunContext":
        """With the fidelity of a task, where it has its own."""
        return self if task.fidelity is None else replace(self, options=replace(self.options, fidelity=task.fidelity))

    def faces_file(self, task: ImageTask) -> Path | None:
        """Where the faces of a task are saved; those of several fidelities are the same."""
        arguments = self.arguments
        return arguments.save_faces if task.fidelity in (None, *arguments.fidelities[:1]) else None

    def free_name(self, path: Path, source: Path) -> Path:
        """Reserve a name for the result of a source that was not planned: this one, or one with the source's suffix in it."""
        if path.resolve() in self.reserved:
            path = path.with_name(f"{path.stem}_{source.suffix.removeprefix('.')}{path.suffix}")
        self.reserve(path)
        return path

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
        make_folder(path.parent)
