"""Every measurement on this project's code: from a case to a round, which says how many seconds each of its steps took."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeformer_core import checkpoints
from codeformer_core.align import align
from codeformer_core.faces import Face
from codeformer_core.options import DetectionOptions, FixOptions
from codeformer_core.paste import paste
from codeformer_core.pipeline import fix_faces
from codeformer_core.video.pipeline import fix_video
from codeformer_core.video_io import VideoWriter, read_frames

from . import scenes, synthetic_weights
from .cases import Case
from .clock import now, timed

#: Runs once; seconds in the order of `Case.steps`.
Round = Callable[[], list[float]]

FIDELITY = 0.5


class Materials:
    """What cases have in common: the device, and networks that are loaded when they are first needed."""

    def __init__(self, device: str, folder: Path, tiny: bool) -> None:
        self.device = torch.device(device)
        self.folder, self.tiny = folder, tiny
        self._networks: dict[str, tuple[str, Any]] = {}

    def file(self, name: str) -> Path:
        return synthetic_weights.file(self.folder, name, self.tiny)

    def network(self, name: str, precision: str | None = None) -> Any:
        """What is in a file of `weights`; the last one of each file is kept."""
        key = precision or "exact"
        if name not in self._networks or self._networks[name][0] != key:
            self._networks.pop(name, None)  # never two at once
            self._networks[name] = key, self.loaded(name, precision)
        return self._networks[name][1]

    def loaded(self, name: str, precision: str | None = None) -> Any:
        """The same, anew."""
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
    """When the parts of a CodeFormer begin: encode, predict and decode, seen by hooks on modules of the released names."""

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


class Searched:
    """A detector that searches and then says where the faces of the scene are: made-up weights find none."""

    def __init__(self, detector: Any, faces: list[Face]) -> None:
        self._detector, self._faces = detector, faces

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        found = self._detector.detect(images, options)
        return found + [face._replace(image_index=index) for index in range(len(images)) for face in self._faces]


class Watched:
    """A network that counts the seconds in which it works."""

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


def _start(case: Case, materials: Materials) -> Round:
    root = Path(__file__).resolve().parent.parent
    programs = ("pass", "import torch", "from codeformer_core.cli import main; main(['--help'])")
    environment = os.environ | {"PYTHONPATH": str(root)}

    def run(program: str) -> float:
        command = [sys.executable, "-c", program]
        return timed(
            lambda: subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True), torch.device("cpu")
        )

    return lambda: [run(program) for program in programs]


def _load(case: Case, materials: Materials) -> Round:
    materials.file(synthetic_weights.RESTORER)
    return materials.once(lambda: materials.loaded(synthetic_weights.RESTORER))


def _torch_load(case: Case, materials: Materials) -> Round:
    path = materials.file(synthetic_weights.RESTORER)
    return materials.once(lambda: torch.load(path, weights_only=True))


def _detect(case: Case, materials: Materials) -> Round:
    image, detector = materials.scene(case).image, materials.network(synthetic_weights.DETECTOR)
    return materials.once(lambda: detector.detect(image, DetectionOptions()))


def _align(case: Case, materials: Materials) -> Round:
    scene = materials.scene(case)
    return materials.once(lambda: align(scene.image, scene.faces))


def _paste(case: Case, materials: Materials) -> Round:
    scene = materials.scene(case)
    aligned = align(scene.image, scene.faces)
    aligned = aligned.with_crops(1 - aligned.crops)
    return materials.once(lambda: paste(scene.image, aligned))


def _restore(case: Case, materials: Materials) -> Round:
    network = materials.network(synthetic_weights.RESTORER, case.precision)
    crops = materials.crops(case, network.side)
    return materials.once(lambda: network.restore(crops, FIDELITY))


def _compiled(case: Case, materials: Materials) -> Round:
    torch.compiler.reset()  # or graphs of other cases are used again, and after eight of them none is made any more
    network = materials.loaded(synthetic_weights.RESTORER, case.precision).compiled()
    crops = materials.crops(case, network.side)
    run = materials.once(lambda: network.restore(crops, FIDELITY))
    first = run()
    return lambda: first + run()


def _parts(case: Case, materials: Materials) -> Round:
    network = materials.loaded(synthetic_weights.RESTORER, case.precision)  # its own: hooks cost time
    crops, watch = materials.crops(case, network.side), Stopwatch(network, materials.device)
    return lambda: watch.parts(lambda: network.restore(crops, FIDELITY))


def _parse(case: Case, materials: Materials) -> Round:
    crops, parser = materials.crops(case, 512), materials.network(synthetic_weights.PARSER, case.precision)
    return materials.once(lambda: parser.parse(crops))


def _picture(case: Case, materials: Materials) -> Round:
    scene = materials.scene(case)
    detector = Searched(materials.network(synthetic_weights.DETECTOR), scene.faces)
    restorer = materials.network(synthetic_weights.RESTORER, case.precision)
    batch = 1 if materials.device.type == "cpu" else len(scene.faces)  # a CPU gains nothing from more
    return materials.once(lambda: fix_faces(scene.image, detector, restorer, FixOptions(fidelity=FIDELITY, batch=batch)))


def _video(case: Case, materials: Materials) -> Round:
    source, target = materials.folder / f"{case}.mp4", materials.folder / "written.mp4"
    scenes.clip(source, case.size or (1, 1))

    def write(frames: list[tuple[Any, Tensor]]) -> None:
        with VideoWriter(target, source, overwrite=True) as writer:
            for frame, image in frames:
                writer.write(frame, image)

    def run() -> list[float]:
        frames: list[tuple[Any, Tensor]] = []
        reading = timed(lambda: frames.extend((frame, frame.image()) for frame in read_frames(source)), materials.device)
        writing = timed(lambda: write(frames), materials.device)
        return [reading / len(frames), writing / len(frames)]

    return run


def _fixed_video(case: Case, materials: Materials) -> Round:
    source, target = materials.folder / f"{case}.mp4", materials.folder / "fixed.mp4"
    scenes.clip(source, case.size or (1, 1))
    searched = Searched(materials.network(synthetic_weights.DETECTOR), materials.scene(case).faces)
    restorer = materials.network(synthetic_weights.RESTORER, case.precision)

    def run() -> list[float]:
        networks: list[Any] = [Watched(network, materials.device) for network in (searched, restorer)]
        seconds = timed(lambda: fix_video(source, target, *networks, overwrite=True, device=materials.device), materials.device)
        return [seconds / scenes.FRAMES, sum(network.seconds for network in networks) / scenes.FRAMES]

    return run


#: Name of a measurement -> what prepares it.
PREPARE: dict[str, Callable[[Case, Materials], Round]] = {
    "start": _start,
    "load": _load,
    "torch.load": _torch_load,
    "detect": _detect,
    "align": _align,
    "parts": _parts,
    "restore": _restore,
    "parse": _parse,
    "compiled": _compiled,
    "paste": _paste,
    "picture": _picture,
    "video": _video,
    "fixed video": _fixed_video,
}
