"""Networks for the whole photo, through spandrel: LaMa and MAT fill holes, DDColor gives colours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from .precision import check_dtype
from .spandrel_restorer import MALFORMED, describe, import_spandrel

#: Network -> how the name of a parameter ends that only it has, and its task.
KINDS: dict[str, tuple[str, str]] = {
    "LaMa": ("model.1.bn_l.running_mean", "inpainting"),
    "MAT": ("synthesis.first_stage.conv_first.conv.resample_filter", "inpainting"),
    "DDColor": ("encoder.arch.stages.3.0.gamma", "colorization"),
}

#: Those that are in spandrel's second package, since their licences forbid commercial use or are long.
EXTRA = ("MAT", "DDColor")

#: Bytes of activations for a pixel that goes in: about twice the peak on a CPU (1.0, 3.5 and 2.4 KB at 512 x 512).
BYTES = {"LaMa": 2048, "MAT": 8192, "DDColor": 5120}


def kind_of(state: Mapping[str, Tensor]) -> str:
    """The name of the network that a state dict belongs to, a row of `KINDS`; "" for any other."""
    return next((kind for kind, (mark, _) in KINDS.items() if any(key.endswith(mark) for key in state)), "")


def load(state: Mapping[str, Tensor], kind: str, name: str) -> "BackgroundInpainter | BackgroundColorizer":
    """The network of this kind that a state dict belongs to, in float32.

    Raises:
        ImportError: spandrel, or for some kinds spandrel_extra_arches, is not installed.
        ValueError: the weights do not fit.
    """
    unsupported = import_spandrel(kind, name, kind in EXTRA)
    if kind == "LaMa":
        state = _generator(state)
    try:
        with _seeded(torch.device("cpu")):
            descriptor = describe(state)
    except (unsupported, *MALFORMED) as error:
        raise ValueError(
            f"{name} looks like {kind} but does not fit. Expected a complete, unchanged file: get it again, or choose another "
            "that `codeformer models` lists."
        ) from error
    return (BackgroundInpainter if KINDS[kind][1] == "inpainting" else BackgroundColorizer)(descriptor, kind, name)


def _generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """LaMa's generator alone, by spandrel's names: training files also hold its critic, and each project has its own prefix."""
    mark = KINDS["LaMa"][0]
    prefix = next(key for key in state if key.endswith(mark)).removesuffix(mark)
    return {f"model.{key.removeprefix(prefix)}": value for key, value in state.items() if key.startswith(f"{prefix}model.")}


#: Torch's random numbers are the same for all threads: one at a time has them seeded.
_SEEDING = Lock()


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Meanwhile torch's random numbers are those of one seed: MAT draws some, and would fill a hole anew in every run."""
    with _SEEDING, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


class _Background(nn.Module):
    """What the two have in common.

    Attributes:
        role, task: what it is for.
        kind: a row of `KINDS`.
        file: what messages call it.
        descriptor: spandrel's model, which pads images to the sizes that the network needs.
    """

    role, task = "background", ""

    def __init__(self, descriptor: Any, kind: str, file: str) -> None:
        super().__init__()
        self.network: nn.Module = descriptor.model
        self.descriptor, self.kind, self.file = descriptor, kind, file

    def require_task(self, task: str) -> None:
        """A ValueError when it is for another task than "inpainting" or "colorization"."""
        if self.task != task:
            fitting = ", ".join(kind for kind, (_, of) in KINDS.items() if of == task)
            raise ValueError(
                f"{self.file} is a {self.kind}, which is for {self.task}. Expected a network for {task}: {fitting}."
            )

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in float32, beside the weights."""
        return batch * height * width * BYTES[self.kind]


class BackgroundInpainter(_Background):
    """A network that fills holes in any image."""

    task = "inpainting"

    def __init__(self, descriptor: Any, kind: str, file: str) -> None:
        super().__init__(descriptor, kind, file)
        if kind == "MAT":
            self.network.z = torch.randn(1, 512, generator=torch.Generator().manual_seed(0))  # spandrel draws another each time

    @torch.no_grad()
    def fill(self, images: Tensor, holes: Tensor) -> Tensor:
        """Images (N, 3, h, w) RGB in [0, 1] and holes (N, 1, h, w) of 0 and 1 -> images with something in the holes."""
        check_dtype(self)
        known = images * (1 - holes)
        with _seeded(images.device) if self.kind == "MAT" else nullcontext():
            return torch.cat([self.descriptor(*pair) for pair in zip(known.split(1), holes.split(1), strict=True)])


class BackgroundColorizer(_Background):
    """A network that gives colours to black-and-white photos.

    Attributes:
        side: of the squares that it sees, as the published program has it.
    """

    task, side = "colorization", 512

    @torch.no_grad()
    def chroma(self, grey: Tensor) -> Tensor:
        """Photos (N, 1, side, side) in [0, 1], stretched to squares -> the a and b of CIE Lab (N, 2, side, side)."""
        check_dtype(self)
        return self.network(grey.expand(-1, 3, -1, -1))
