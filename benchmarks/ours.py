"""Every measurement on this project's code: each function turns a case into a round, which returns the seconds of its steps."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeformer_core import image_io
from codeformer_core.align import align
from codeformer_core.cli import images
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.context import RunContext
from codeformer_core.options import DetectionOptions, FixOptions
from codeformer_core.paste import paste
from codeformer_core.pipeline import fix_faces
from codeformer_core.video.pipeline import fix_video
from codeformer_core.video_io import VideoWriter, read_frames

from . import scenes, synthetic_weights
from .cases import Case
from .clock import timed
from .resources import FIDELITY, Resources, Round, Stopwatch, TimedNetwork, WithKnownFaces

#: Images of a folder.
PHOTOS = 12


def _start(case: Case, resources: Resources) -> Round:
    root = Path(__file__).resolve().parent.parent
    programs = ("pass", "import torch", "from codeformer_core.cli import main; main(['--help'])")
    environment = os.environ | {"PYTHONPATH": str(root)}

    def run(program: str) -> float:
        command = [sys.executable, "-c", program]
        return timed(
            lambda: subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True), torch.device("cpu")
        )

    return lambda: [run(program) for program in programs]


def _load(case: Case, resources: Resources) -> Round:
    resources.file(synthetic_weights.RESTORER)
    return resources.once(lambda: resources.loaded(synthetic_weights.RESTORER))


def _torch_load(case: Case, resources: Resources) -> Round:
    path = resources.file(synthetic_weights.RESTORER)
    return resources.once(lambda: torch.load(path, weights_only=True))


def _detect(case: Case, resources: Resources) -> Round:
    image, detector = resources.scene(case).image, resources.network(synthetic_weights.DETECTOR)
    return resources.once(lambda: detector.detect(image, DetectionOptions()))


def _align(case: Case, resources: Resources) -> Round:
    scene = resources.scene(case)
    return resources.once(lambda: align(scene.image, scene.faces))


def _paste(case: Case, resources: Resources) -> Round:
    scene = resources.scene(case)
    aligned = align(scene.image, scene.faces)
    aligned = aligned.with_crops(1 - aligned.crops)
    return resources.once(lambda: paste(scene.image, aligned))


def _restore(case: Case, resources: Resources) -> Round:
    network = resources.network(synthetic_weights.RESTORER, case.precision)
    crops = resources.crops(case, network.side)
    return resources.once(lambda: network.restore(crops, FIDELITY))


def _compiled(case: Case, resources: Resources) -> Round:
    torch.compiler.reset()  # otherwise graphs of other cases are reused, and after eight of them torch recompiles no more
    network = resources.loaded(synthetic_weights.RESTORER, case.precision).compiled()
    crops = resources.crops(case, network.side)
    run = resources.once(lambda: network.restore(crops, FIDELITY))
    first = run()
    return lambda: first + run()


def _graph(case: Case, resources: Resources) -> Round:
    network = resources.network(synthetic_weights.RESTORER, case.precision)
    crops, graph = resources.crops(case, network.side), torch.cuda.CUDAGraph()
    aside = torch.cuda.Stream()
    with torch.cuda.stream(aside):  # as torch's manual asks: kernels are chosen before the capture
        for _ in range(3):
            network.restore(crops, FIDELITY)
    torch.cuda.current_stream().wait_stream(aside)
    with torch.cuda.graph(graph):
        network.restore(crops, FIDELITY)
    return resources.once(graph.replay)


def _parts(case: Case, resources: Resources) -> Round:
    network = resources.loaded(synthetic_weights.RESTORER, case.precision)  # not cached: hooks cost time
    crops, watch = resources.crops(case, network.side), Stopwatch(network, resources.device)
    return lambda: watch.parts(lambda: network.restore(crops, FIDELITY))


def _parse(case: Case, resources: Resources) -> Round:
    crops, parser = resources.crops(case, 512), resources.network(synthetic_weights.PARSER, case.precision)
    return resources.once(lambda: parser.parse(crops))


def _image(case: Case, resources: Resources) -> Round:
    scene = resources.scene(case)
    detector = WithKnownFaces(resources.network(synthetic_weights.DETECTOR), scene.faces)
    restorer = resources.network(synthetic_weights.RESTORER, case.precision)
    batch = 1 if resources.device.type == "cpu" else len(scene.faces)  # larger batches are no faster on a CPU
    options = FixOptions(fidelity=FIDELITY, batch=batch, always=True)
    return resources.once(lambda: fix_faces(scene.image, detector, restorer, options))


def _folder(case: Case, resources: Resources) -> Round:
    """The command line's loop over a folder, JPEG to JPEG: seconds of one image."""
    folder, scene = resources.folder / f"{case}", resources.scene(case)
    folder.mkdir()
    photos = 2 if resources.tiny else PHOTOS
    for index in range(photos):
        image_io.write(image_io.ImageFile(scene.image.cpu()), folder / f"{index}.jpg")
    detector = WithKnownFaces(resources.network(synthetic_weights.DETECTOR), scene.faces)
    restorer = resources.network(synthetic_weights.RESTORER, case.precision)
    options = FixOptions(fidelity=FIDELITY)
    arguments = Arguments(
        command="fix",
        paths=(folder,),
        out=folder.with_suffix(".out"),
        device=str(resources.device),
        overwrite=True,
        quiet=True,
        options=options,
    )

    def load(arguments: Arguments, device: torch.device) -> RunContext:
        return RunContext(arguments, device, options, restorer, detector)

    def fix() -> None:
        if status := images.run(arguments, load):
            raise RuntimeError(f"fix ended with status {status}")

    return lambda: [timed(fix, resources.device) / photos]


def _video(case: Case, resources: Resources) -> Round:
    source, target = resources.folder / f"{case}.mp4", resources.folder / "written.mp4"
    scenes.clip(source, case.size or (1, 1))

    def write(frames: list[tuple[Any, Tensor]]) -> None:
        with VideoWriter(target, source, overwrite=True) as writer:
            for frame, image in frames:
                writer.write(frame, image)

    def run() -> list[float]:
        frames: list[tuple[Any, Tensor]] = []
        reading = timed(lambda: frames.extend((frame, frame.image()) for frame in read_frames(source)), resources.device)
        writing = timed(lambda: write(frames), resources.device)
        return [reading / len(frames), writing / len(frames)]

    return run


def _fixed_video(case: Case, resources: Resources) -> Round:
    source, target = resources.folder / f"{case}.mp4", resources.folder / "fixed.mp4"
    frames = case.frames or scenes.FRAMES
    scenes.clip(source, case.size or (1, 1), frames)
    detector = WithKnownFaces(resources.network(synthetic_weights.DETECTOR), resources.scene(case).faces)
    restorer = resources.network(synthetic_weights.RESTORER, case.precision)
    options = FixOptions(always=True)

    def run() -> list[float]:
        networks: list[Any] = [TimedNetwork(network, resources.device) for network in (detector, restorer)]
        fix = partial(fix_video, source, target, *networks, options, overwrite=True, device=resources.device)
        seconds = timed(fix, resources.device)
        return [seconds / frames, sum(network.seconds for network in networks) / frames]

    return run


#: Name of a measurement -> the function that prepares it.
PREPARE: dict[str, Callable[[Case, Resources], Round]] = {
    "start": _start,
    "load": _load,
    "torch.load": _torch_load,
    "detect": _detect,
    "align": _align,
    "parts": _parts,
    "restore": _restore,
    "parse": _parse,
    "compiled": _compiled,
    "graph": _graph,
    "paste": _paste,
    "picture": _image,
    "folder": _folder,
    "video": _video,
    "fixed video": _fixed_video,
}
