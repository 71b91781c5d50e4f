"""The images that are scored, beside their truth: from folders, matched by name; or degraded and restored on the way."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..imaging.resize import resize
from ..training import config_file
from ..training.dataset import read_face, resize_face, to_image
from ..training.degrade import degrade_named
from .arguments import Arguments
from .contents import IMAGES, describe, look_into
from .models import obtain
from .networks import find_restorer, load_network
from .values import problem

#: How `codeformer fix -w 0.3 -w 0.7` marks its results.
_MARKED = re.compile(r"(.+)_w([01](?:\.\d+)?)")


class Sample(NamedTuple):
    """One image in every set, (1, 3, H, W) in [0, 1] each, and its truth of the same size."""

    name: str
    images: dict[str, Tensor]
    truth: Tensor | None


@dataclass
class Samples:
    """The images of an evaluation.

    Attributes:
        names: of the images, without suffixes.
        sets: names of the sets, the input first.
        load: name of an image -> the sample.
        fidelities: of the restored sets, where each has one.
        said: sentences for the user.
        grey: names of images without colour whose truth has some.
    """

    names: list[str]
    sets: list[str]
    load: Callable[[str], Sample]
    has_truth: bool
    fidelities: Sequence[float] = ()
    said: list[str] = field(default_factory=list)
    grey: set[str] = field(default_factory=set)

    def notes(self) -> list[str]:
        """What the user should know of the images."""
        grey = sorted(self.grey)
        which = "1 image is grey while its" if len(grey) == 1 else f"{len(grey)} images are grey while their"
        return [*self.said, *([f"{which} truth is in colour: {_first_names(grey)}."] if grey else [])]


def listed(folder: Path) -> dict[str, Path]:
    """The images of a folder by their names without suffixes.

    Raises:
        ValueError: there is no such folder or no image in it, or two have one name.
    """
    if (wrong := problem(folder)) or not folder.is_dir():
        raise ValueError(f"{folder} {wrong or 'is a file'}: name a folder of images.")
    contents = look_into(folder, False, IMAGES, ())
    if not contents.taken:
        found = describe(contents.left_out, IMAGES) or ("only folders" if any(folder.iterdir()) else "nothing")
        raise ValueError(f"{folder} holds no image. Found {found}: name a folder of images.")
    files: dict[str, Path] = {}
    for path in contents.taken:
        if path.stem in files:
            raise ValueError(f"{files[path.stem]} and {path} have one name: leave one of them in the folder.")
        files[path.stem] = path
    return files


def read(path: Path, side: int = 0) -> Tensor:
    """An image (1, 3, H, W) in [0, 1]; with a side, a square one at this size."""
    pixels = read_face(path, square=side > 0)
    scaled = resize_face(pixels, side) if side else pixels.astype(np.float32) / 255
    return to_image(scaled)


def of_folders(arguments: Arguments) -> Samples:
    """The images of the named folders, and of the input's, that the truth's folder has too.

    Raises:
        ValueError: a folder does not fit.
    """
    truth = listed(arguments.research.truth) if arguments.research.truth else {}
    sets = {"input": listed(arguments.research.input)} if arguments.research.input else {}
    for folder in arguments.paths:
        for name, files in _by_fidelity(folder, listed(folder), truth).items():
            sets[name] = files
    common = [name for name in next(reversed(sets.values())) if all(name in files for files in sets.values())]
    names = [name for name in common if name in truth] if truth else common
    if not names:
        where = [arguments.research.truth, *arguments.paths] if truth else arguments.paths
        examples = "; ".join(f"{folder}: {_first_names(listed(folder))}" for folder in where if folder)
        raise ValueError(
            f"no image is in all folders under the same name ({examples}). Expected equal names, but for the suffix."
        )
    total = len(set().union(*sets.values(), truth))
    said = [f"{total - len(names)} of {total} images are left out: they are not in every folder."] if total > len(names) else []
    side, grey = arguments.research.scored_side, set()

    def load(name: str) -> Sample:
        true = read(truth[name], side) if truth else None
        images = {one: read(files[name], side) for one, files in sets.items()}
        for one, image in images.items():
            if true is not None:
                _check_size(sets[one][name], image, truth[name], true)
                if _is_grey(image) and not _is_grey(true):
                    grey.add(str(sets[one][name]))
        return Sample(name, images, true)

    weights = [re.search(r", w = ([\d.]+)$", name) for name in sets if name != "input"]
    fidelities = [float(match[1]) for match in weights if match]
    return Samples(names, list(sets), load, bool(truth), fidelities if len(fidelities) == len(weights) else [], said, grey)


def _by_fidelity(folder: Path, files: dict[str, Path], truth: dict[str, Path]) -> dict[str, dict[str, Path]]:
    """A folder as one set, or as one for each of the fidelities by which its files are marked."""
    marked = {name: match for name in files if name not in truth and (match := _MARKED.fullmatch(name))}
    if len(marked) < len(files):
        return {str(folder): files}
    weights = sorted({match[2] for match in marked.values()}, key=float)
    return {f"{folder}, w = {float(w):g}": {m[1]: files[name] for name, m in marked.items() if m[2] == w} for w in weights}


def _check_size(path: Path, image: Tensor, truth_path: Path, truth: Tensor) -> None:
    if image.shape != truth.shape:
        (h, w), (th, tw) = image.shape[-2:], truth.shape[-2:]
        raise ValueError(
            f"{path} has {w} x {h} pixels, its truth {truth_path} has {tw} x {th}; expected equal sizes. Score both at one "
            f"size with --side {min(h, w, th, tw)}, or restore without --upscale."
        )


def _is_grey(image: Tensor) -> bool:
    return bool((image[:, :1] == image).all())


def of_network(arguments: Arguments, device: torch.device) -> Samples:
    """The truth degraded by a recipe, and restored by a network at each fidelity.

    Raises:
        ValueError: the recipe, the folder or the network does not fit.
    """
    assert arguments.research.truth and arguments.research.degrade
    recipe, truth = config_file.read_recipe(arguments.research.degrade), listed(arguments.research.truth)
    fidelities = [w for w in arguments.fidelities or (arguments.options.fidelity,) if not isinstance(w, tuple)]
    if not fidelities:
        raise ValueError("-w is one number for all images here: say -w 0.3 -w 0.7 for two sets.")
    path = obtain({"restorer": arguments.model or find_restorer(arguments, "restoration")}, arguments, "restoration")[0]
    network = load_network(path, "restorer", "restoration", device, arguments.precision, arguments.engine)

    def load(name: str) -> Sample:
        clear = resize_face(read_face(truth[name]), network.side)
        degraded = _in_levels(to_image(degrade_named(clear, recipe, arguments.research.seed, name)))
        images = {f"w = {w:g}": _in_levels(network.restore(degraded.to(device), w).cpu()) for w in fidelities}
        if images[f"w = {fidelities[0]:g}"].shape != degraded.shape:
            raise ValueError(
                f"{path.name} draws images of another size than it takes, which cannot be scored against the truth."
            )
        side = arguments.research.scored_side or network.side
        scaled = {one: resize(image, side) for one, image in ({"degraded": degraded} | images).items()}
        return Sample(name, scaled, resize(_in_levels(to_image(clear)), side))

    return Samples(list(truth), ["degraded", *(f"w = {w:g}" for w in fidelities)], load, True, fidelities)


def _in_levels(image: Tensor) -> Tensor:
    """Rounded to levels of 255, as image files would have it."""
    return (image * 255).round() / 255


def _first_names(names: Iterable[str]) -> str:
    """The first names of several."""
    known = list(names)
    return ", ".join(known[:3]) + (", ..." if len(known) > 3 else "")
