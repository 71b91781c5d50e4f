"""`codeformer degrade` and `codeformer reconstruct`: face crops degraded, or drawn by a codebook, into PNG files."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from .. import image_io
from ..image_io import ImageFile
from ..runtime.addresses import make_folder
from ..training import config_file
from ..training.codebook import Autoencoder
from ..training.dataset import opaque, resize_face, to_image
from ..training.degrade import degrade_named
from .arguments import Arguments
from .contents import IMAGES, images_for
from .context import RunContext
from .models import obtain
from .networks import device_of
from .plan import ImageTask
from .report import ImageResult
from .run import process_all

#: A square face (S, S, 3) uint8 and the name of its file without suffix -> the result (S', S', 3) in [0, 1].
Change = Callable[[np.ndarray, str], np.ndarray]


def run(arguments: Arguments) -> int:
    """The exit status, see `process_all`."""
    try:
        if arguments.out.suffix.lower() in {*IMAGES.written} - {".png"} and not arguments.out.is_dir():
            raise ValueError(f"{arguments.out} does not end in .png: another format would degrade or change the face again.")
        change = {"degrade": _degrade, "reconstruct": _reconstruct}[arguments.command](arguments)
    except (OSError, ValueError) as error:
        print(f"codeformer {arguments.command}: {error}", file=sys.stderr)
        return 2
    return process_all(
        replace(arguments, format="png" if arguments.out.suffix.lower() != ".png" else "keep"),  # JPEG would degrade again
        images_for(arguments.page),
        partial(_write, change),
        lambda arguments, device: RunContext(arguments, device, arguments.options),
    )


def _degrade(arguments: Arguments) -> Change:
    recipe = config_file.read_recipe(arguments.research.recipe)
    return lambda pixels, name: degrade_named(pixels.astype(np.float32) / 255, recipe, arguments.research.seed, name)


def _reconstruct(arguments: Arguments) -> Change:
    if arguments.model is None:
        raise ValueError("say which codebook with --model, such as runs/codebook-1024/network.pth.")
    device = device_of(arguments.device)
    side = arguments.side if "side" in arguments.typed else None
    network = Autoencoder(obtain({"codebook": arguments.model}, arguments)[0], side).to(device)

    def drawn(pixels: np.ndarray, _: str) -> np.ndarray:
        face = torch.from_numpy(resize_face(pixels, network.side)).permute(2, 0, 1)[None]
        return network(face.to(device))[0].permute(1, 2, 0).cpu().numpy()

    return drawn


def _write(change: Change, task: ImageTask, context: RunContext) -> ImageResult:
    """Read a square, opaque face; write what becomes of it."""
    pixels = opaque(image_io.read(task.source, context.arguments.page or None), task.source.name, square=True)
    make_folder(task.target.parent)
    image_io.write(ImageFile(to_image(change(pixels, task.source.stem))), task.target, context.arguments.overwrite)
    return ImageResult(task.target, [f"{task.source} -> {task.target}"], 1, 1)
