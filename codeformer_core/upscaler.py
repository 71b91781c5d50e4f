"""Super-resolution networks from files, through spandrel, and images enlarged with them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import checkpoints
from .imaging.tiling import TILE, run_tiled
from .runtime.progress import Tick, no_tick

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor


# What spandrel's architectures raise for weights that carry the names of theirs and not the shapes.
_MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, eq=False)
class Upscaler:
    """A super-resolution network from a file, in fp32.

    The reference runs it in fp16 on CUDA except on the GTX 16xx, where fp16 gives black pictures. fp32 works on every device
    with every architecture (DCTLSA and others have no fp16), so it is what this pack does.

    Attributes:
        descriptor: spandrel's model. It fits pictures to the sizes that the network asks for (reflected at the right and
            bottom edge, cut off the result) and clamps the result to [0, 1].
    """

    descriptor: "ImageModelDescriptor[torch.nn.Module]"

    @property
    def scale(self) -> int:
        """How many times larger the result is; 1 for a network that only cleans."""
        return self.descriptor.scale

    def to(self, device: torch.device | str) -> "Upscaler":
        """Moves the network to a device. Returns itself."""
        self.descriptor.to(torch.device(device))
        return self

    def __call__(self, image: Tensor, /) -> Tensor:
        """One picture (1, 3, h, w) RGB in [0, 1], wherever it is -> (1, 3, h * scale, w * scale) where the network is."""
        return self.descriptor(image.to(self.descriptor.device, self.descriptor.dtype))

    def upscale(self, images: Tensor, tile: int = TILE, tick: Tick = no_tick) -> Tensor:
        """Images (B, 3, H, W) RGB in [0, 1] -> (B, 3, H * scale, W * scale), see `upscale.tiled`."""
        return run_tiled(images, self, self.scale, tile, tick=tick)


def load_upscaler(path: Path | str) -> Upscaler:
    """The super-resolution or restoration network in a file (.pth, .pt, .safetensors), on the CPU.

    Only tensors are read, by `checkpoints.read`: spandrel sees weights and never the file, whose .pt it would run.

    Raises:
        ImportError: spandrel is not installed.
        ValueError: see `checkpoints.read`; or a network that does not turn one RGB picture into another.
    """
    path = Path(path)
    try:
        from spandrel import ModelLoader, UnsupportedModelError
    except ModuleNotFoundError as error:
        if error.name != "spandrel":
            raise  # spandrel is there and lacks something else: its own message says what
        raise ImportError("Upscaling needs the package spandrel, which is not installed: pip install spandrel") from error
    weights = checkpoints.read(path)
    try:
        descriptor = ModelLoader().load_from_state_dict(weights)
    except UnsupportedModelError as error:
        first = ", ".join(list(weights)[:3])
        raise ValueError(
            f"{path.name} is not an upscaler that spandrel knows: it has {len(weights):,} tensors, the first are {first}. "
            "Choose an upscaler such as RealESRGAN_x2plus.pth."
        ) from error
    except _MALFORMED as error:
        raise ValueError(
            f"{path.name} looks like an upscaler, and its weights fit no network of that family. Expected a complete, "
            "unchanged file: get it again where it came from, or choose another such as RealESRGAN_x2plus.pth."
        ) from error
    return Upscaler(_image_model(descriptor, path.name))


def _image_model(descriptor: object, name: str) -> "ImageModelDescriptor[torch.nn.Module]":
    """The same model, when it turns one RGB picture into another."""
    from spandrel import ImageModelDescriptor

    if not isinstance(descriptor, ImageModelDescriptor):
        found = "an inpainting network, which needs a mask beside the picture"
    elif descriptor.purpose == "FaceSR":
        found = f"a face network ({descriptor.architecture.name}), which takes aligned faces"
    elif (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        found = f"a network from {descriptor.input_channels} to {descriptor.output_channels} channels"
    else:
        return descriptor
    raise ValueError(
        f"{name} is {found}. Expected an upscaler of RGB pictures (3 channels to 3): choose one such as RealESRGAN_x2plus.pth."
    )
