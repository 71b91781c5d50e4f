"""A folder of images from file to file: several at a time as the command line does it, and one after the other."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any, NamedTuple

from codeformer_core import image_io
from codeformer_core.cli import images, local
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.contents import IMAGES
from codeformer_core.cli.context import RunContext
from codeformer_core.cli.masks import size_of_image
from codeformer_core.cli.plan import plan
from codeformer_core.options import FixOptions

from . import scenes, synthetic_weights
from .lines import Line
from .resources import FIDELITY, Resources, TimedNetwork, WithKnownFaces

ENDS = (".jpg", ".png")


class Folder(NamedTuple):
    """A folder of images of one size (width, height), JPEG and PNG in turns; each has so many faces."""

    images: int
    size: tuple[int, int]
    faces: int

    def __str__(self) -> str:
        return f"{self.images} images of {self.size[0]} x {self.size[1]}"


FULL = Folder(40, (4000, 3000), 4), Folder(200, (1200, 840), 2)
TINY = Folder(2, (320, 240), 1), Folder(2, (160, 120), 1)


def measure(resources: Resources, folders: Sequence[Folder]) -> Iterator[Line]:
    """Lines about each folder, worked on in both ways, each after two images to warm up."""
    for folder in folders:
        context = _context(resources, folder)
        tasks = plan(context.arguments, IMAGES).tasks
        seconds, networks = [], 0.0
        for way in (_side_by_side, _one_by_one):
            for todo in (tasks[:2], tasks):
                timed = [TimedNetwork(network, resources.device) for network in (context.detector, context.restorer)]
                outcomes: dict[Any, Any] = {}
                begun = time.perf_counter()
                way(todo, outcomes, replace(context, detector=timed[0], restorer=timed[1]))
                took = time.perf_counter() - begun
                if failed := [outcome.error for outcome in outcomes.values() if outcome.status != "done"]:
                    raise RuntimeError(failed[0])
            seconds.append(took)
            networks = sum(network.seconds for network in timed)  # of the last way, where nothing else runs beside them
        shutil.rmtree(context.arguments.out)
        yield Line("folder", f"{folder}, several at a time", folder.images / seconds[0], "images/s")
        yield Line("folder", f"{folder}, one after the other", folder.images / seconds[1], "images/s")
        ratio, share = seconds[1] / seconds[0], networks / seconds[0]
        aims = {"cpu": (1.3, None)}.get(resources.device.type, (None, 0.9))
        aims = (None, None) if resources.tiny else aims
        for what, value, aim in zip(("times as fast", "share of the networks' throughput"), (ratio, share), aims, strict=True):
            expected = f"{aim} or more" if aim else ""
            yield Line("folder", f"{folder}: {what}", value, "", expected, value >= aim if aim else None)


def _side_by_side(todo: Any, outcomes: Any, context: RunContext) -> None:
    for _ in local.side_by_side(todo, outcomes, context, images.PROCESS["fix"], size_of_image, lambda: None):
        pass


def _one_by_one(todo: Any, outcomes: Any, context: RunContext) -> None:
    for _ in local.one_by_one(todo, outcomes, context, images.PROCESS["fix"]):
        pass


def _context(resources: Resources, folder: Folder) -> RunContext:
    """The networks, and a folder with the images."""
    scene = scenes.scene(folder.size, folder.faces)
    source = resources.folder / str(folder).replace(" ", "-")
    source.mkdir()
    first = [source / f"first{end}" for end in ENDS]
    for path in first:
        image_io.write(image_io.ImageFile(scene.image), path)
    for index, path in zip(range(folder.images), cycle(first), strict=False):
        shutil.copy(path, source / f"{index:03}{path.suffix}")
    for path in first:
        path.unlink()
    restorer, detector = resources.network(synthetic_weights.RESTORER), resources.network(synthetic_weights.DETECTOR)
    options = FixOptions(fidelity=FIDELITY, always=True)
    arguments = Arguments(
        command="fix", paths=(source,), out=source.with_suffix(".out"), overwrite=True, quiet=True, options=options
    )
    return RunContext(arguments, resources.device, options, restorer, WithKnownFaces(detector, scene.faces))
