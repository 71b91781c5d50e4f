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

from codeformer_core import checkpoints, image_io
from codeformer_core.align import align
from codeformer_core.cli import images
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.context import RunContext
from codeformer_core.faces import Face
from codeformer_core.options import DetectionOptions, FixOptions
from codeformer_core.paste import paste
from codeformer_core.pipeline import fix_faces
from codeformer_core.video.pipeline import fix_video
from codeformer_core.video_io import VideoWriter, read_frames

from . import scenes, synthetic_weights
from .cases import Case
from .clock import now, timed

#: Runs the case once; returns seconds in the order of `Case.steps`.
Round = Callable[[], list[float]]

FIDELITY = 0.5

#: Images of a folder.
PHOTOS = 12


class Resources:
    """Device, inputs and lazily loaded networks that the cases share."""

    def __init__(self, device: str, folder: Path, tiny: bool) -> None:
        self.device = torch.device(device)
        self.folder, self.tiny = folder, tiny
        self._networks: dict[str, tuple[str, Any]] = {}

    def file(self, name: str) -> Path:
        return synthetic_weights.file(self.folder, name, self.tiny)

    def network(self, name: str, precision: str | None = None) -> Any:
        """The network of a synthetic weight file; the last one of each file is cached."""
        key = precision or "exact"
        if name not in self._networks or self._networks[name][0] != key:
            self._networks.pop(name, None)  # never two at once
            self._networks[name] = key, self.loaded(name, precision)
        return self._networks[name][1]

    def loaded(self, name: str, precision: str | None = None) -> Any:
        """The same, not cached."""
        return checkpoints.load(self.file(name), precision=precision or "exact").to(self.device)

    def scene(self, case: Case) -> scenes.Scene:
        image, faces = scenes.scene(case.size or (1, 1), case.faces or 1)
        return scenes.Scene(image.to(self.device), faces)

    def crops(self, case: Case, side: int) -> Tensor:
        return scenes.crops(case.batch or 1, side).to(self.device)

    def once(self, call: Callable[[], object]) -> Round:
        """A round of one step."""
        return lambda: [timed(call, self.device)]


class Stopwatch:
    """Times encoder, transformer and generator of a CodeFormer by forward hooks on modules that the official code has too."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._device, self._marks = device, [0.0]
        network.feat_emb.register_forward_pre_hook(self._mark)
        network.idx_pred_layer.register_forward_hook(self._mark)

    def _mark(self, *_: object) -> None:
        self._marks.append(now(self._device))

    def parts(self, call: Callable[[], object]) -> list[float]:
        """Seconds of each part of a call of the network."""
        self._marks = [now(self._device)]
        call()
        self._mark()
        return [after - before for before, after in zip(self._marks, self._marks[1:], strict=False)]


class WithKnownFaces:
    """A detector that runs and then adds the scene's faces, since synthetic weights detect none."""

    def __init__(self, detector: Any, faces: list[Face]) -> None:
        self._detector, self._faces = detector, faces

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        found = self._detector.detect(images, options)
        return found + [face._replace(image_index=index) for index in range(len(images)) for face in self._faces]


class TimedNetwork:
    """A proxy that adds up the seconds spent in a network's methods."""

    def __init__(self, network: Any, device: torch.device) -> None:
        self._network, self._device, self.seconds = network, device, 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._network, name)
        return partial(self._timed, found) if callable(found) else found

    def _timed(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        start = now(self._device)
        result = call(*args, **options)
        self.seconds += now(self._device) - start
        return result


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
    return resources.once(lambda: fix_faces(scene.image, detector, restorer, FixOptions(fidelity=FIDELITY, batch=batch)))


def _folder(case: Case, resources: Resources) -> Round:
    """The command line's loop over a folder, JPEG to JPEG: seconds of one image."""
    folder, scene = resources.folder / f"{case}", resources.scene(case)
    folder.mkdir()
    for index in range(PHOTOS):
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

    return lambda: [timed(fix, resources.device) / PHOTOS]


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

    def run() -> list[float]:
        networks: list[Any] = [TimedNetwork(network, resources.device) for network in (detector, restorer)]
        seconds = timed(lambda: fix_video(source, target, *networks, overwrite=True, device=resources.device), resources.device)
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
