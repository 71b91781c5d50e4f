"""Load super-resolution networks from files, through spandrel."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import checkpoints
from .imaging.tiling import TILE, run_tiled
from .networks.spandrel_restorer import MALFORMED, describe
from .runtime.progress import Tick, no_tick

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor


@dataclass(frozen=True, eq=False)
class Upscaler:
    """A super-resolution network from a file, in fp32.

    The reference runs it in fp16 on CUDA except on the GTX 16xx, where fp16 gives black images. fp32 works on every device
    with every architecture (DCTLSA and others have no fp16), so it is what this pack does.

    Attributes:
        descriptor: spandrel's model. It pads images to the sizes that the network needs (reflected at the right and
            bottom edge, cropped off the result) and clamps the result to [0, 1].
        file: what error messages call it.
    """

    descriptor: "ImageModelDescriptor[torch.nn.Module]"
    file: str = ""

    @property
    def network(self) -> torch.nn.Module:
        """The network itself."""
        return self.descriptor.model

    @property
    def scale(self) -> int:
        """How many times larger the result is; 1 for a network that only cleans."""
        return self.descriptor.scale

    def to(self, device: torch.device | str) -> "Upscaler":
        """Moves the network to a device. Returns itself."""
        self.descriptor.to(torch.device(device))
        return self

    def __call__(self, image: Tensor, /) -> Tensor:
        """One image (1, 3, h, w) RGB in [0, 1] on any device -> (1, 3, h * scale, w * scale) on the network's."""
        return self.descriptor(image.to(self.descriptor.device, self.descriptor.dtype))

    def upscale(self, images: Tensor, tile: int = TILE, tick: Tick = no_tick) -> Tensor:
        """Images (B, 3, H, W) RGB in [0, 1] -> (B, 3, H * scale, W * scale), see `tiling.run_tiled`."""
        return run_tiled(images, self, self.scale, tile, tick=tick)


def load_upscaler(path: Path | str) -> Upscaler:
    """The super-resolution or restoration network in a file (.pth, .pt, .safetensors), on the CPU.

    Only tensors are read, by `checkpoints.read`: spandrel gets weights and never the file: it would unpickle a .pt.

    Raises:
        ImportError: spandrel is not installed.
        ValueError: see `checkpoints.read`; or a network that does not map one RGB image to another.
    """
    path = Path(path)
    try:
        from spandrel import UnsupportedModelError
    except ModuleNotFoundError as error:
        if error.name != "spandrel":
            raise  # spandrel is installed and lacks a dependency, which its own message names
        raise ImportError("Upscaling needs the package spandrel, which is not installed: pip install spandrel") from error
    weights = checkpoints.read(path)
    try:
        descriptor = describe(weights)
    except UnsupportedModelError as error:
        first = ", ".join(list(weights)[:3])
        raise ValueError(
            f"{path.name} is not an upscaler that spandrel knows: it has {len(weights):,} tensors, the first are {first}. "
            "Choose an upscaler such as RealESRGAN_x2plus.pth."
        ) from error
    except MALFORMED as error:
        raise ValueError(
            f"{path.name} looks like an upscaler, and its weights fit no network of that family. Expected a complete, "
            "unchanged file: get it again where it came from, or choose another such as RealESRGAN_x2plus.pth."
        ) from error
    return Upscaler(_check_image_model(descriptor, path.name), path.name)


def _check_image_model(descriptor: object, name: str) -> "ImageModelDescriptor[torch.nn.Module]":
    """The same model if it maps one RGB image to another; otherwise a ValueError."""
    from spandrel import ImageModelDescriptor

    if not isinstance(descriptor, ImageModelDescriptor):
        found = "an inpainting network, which needs a mask beside the image"
    elif descriptor.purpose == "FaceSR":
        found = f"a face network ({descriptor.architecture.name}), which takes aligned faces"
    elif (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        found = f"a network from {descriptor.input_channels} to {descriptor.output_channels} channels"
    else:
        return descriptor
    raise ValueError(
        f"{name} is {found}. Expected an upscaler of RGB images (3 channels to 3): choose one such as RealESRGAN_x2plus.pth."
    )
