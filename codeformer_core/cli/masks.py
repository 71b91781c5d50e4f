"""Masks that the user draws: the one for each image, and whether it fits."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PIL import Image
from torch import Tensor

from .. import image_io
from ..image_io.encode import FORMATS
from ..imaging.resize import same_proportions
from ..runtime.addresses import is_remote
from .arguments import Arguments
from .plan import ImageTask


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
    path = mask_file(path, task)
    found = image_io.read(path)
    mask = found.image.mean(1, keepdim=True) * (1 if found.alpha is None else found.alpha)
    (mask_height, mask_width), (height, width) = mask.shape[-2:], image.shape[-2:]
    check_proportions(path, (mask_width, mask_height), (width, height))
    return mask.to(image.device)


def mask_file(path: Path, task: ImageTask) -> Path:
    """The file of the mask for an image, see `read_mask`."""
    if path.is_dir():
        folder, source = path.joinpath(*task.below.parts), task.source
        names = dict.fromkeys([source.name, *(source.stem + end for end in FORMATS)])
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        if found is None:
            raise ValueError(
                f"there is no mask for it in {folder}. Expected an image of the same name, such as {source.stem}.png."
            )
        return found
    return path


def check_proportions(mask: Path, mask_size: tuple[int, int], size: tuple[int, int]) -> None:
    """A ValueError unless a mask and an image, both (W, H), have the same aspect ratio."""
    if not same_proportions(mask_size, size):
        raise ValueError(
            f"the mask {mask} is {mask_size[0]} x {mask_size[1]}, the image {size[0]} x {size[1]}. "
            "Expected the same proportions: make a mask of the image's size."
        )


def misfit(arguments: Arguments, task: ImageTask, size_of: Callable[[Path], tuple[int, int] | None]) -> str | None:
    """Why a mask cannot be the one for an image or video, in a sentence; known from the heads of the files, before any work.

    Args:
        size_of: (W, H) of the image or video in a file; None where it cannot be told.
    """
    if arguments.page:  # which has a size of its own
        return None
    masks = [path for path in (arguments.inside, arguments.keep_out, arguments.fidelity_mask, arguments.holes) if path]
    size = size_of(task.source) if masks else None
    try:
        for path in masks:
            mask = mask_file(path, task)
            of_mask = size_of_image(mask)
            # Which way up it is shown is looked at later.
            if of_mask and size and not same_proportions(of_mask, (size[1], size[0])):
                check_proportions(mask, of_mask, size)
    except ValueError as error:
        return str(error)
    return None


def size_of_image(path: Path) -> tuple[int, int] | None:
    """(W, H) of an image as stored; None where Pillow does not know it, or a store would have to be asked for it."""
    if is_remote(path):
        return None
    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), Image.open(path) as image:
        return image.size if getattr(image, "n_frames", 1) == 1 else None
    return None
