"""What the measurements on this project's code share: networks, scenes, and proxies that time or complete them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeformer_core import checkpoints, load
from codeformer_core.faces import Face
from codeformer_core.options import DetectionOptions

from . import scenes, synthetic_weights
from .cases import Case
from .clock import now, timed

#: Runs the case once; returns seconds in the order of `Case.steps`.
Round = Callable[[], list[float]]

#: w of every measurement.
FIDELITY = 0.5

#: The synthetic networks' counterparts that come with the project.
BUNDLED = {synthetic_weights.RESTORER: "starter", synthetic_weights.DETECTOR: "mtcnn"}


class Resources:
    """Device, inputs and lazily loaded networks that the cases share; `bundled` ones or synthetic ones, see `BUNDLED`."""

    def __init__(self, device: str, folder: Path, tiny: bool, bundled: bool = False) -> None:
        self.device = torch.device(device)
        self.folder, self.tiny, self.bundled = folder, tiny, bundled
        self._networks: dict[str, tuple[str, Any]] = {}

    def file(self, name: str) -> Path:
        return synthetic_weights.file(self.folder, name, self.tiny)

    def network(self, name: str, precision: str | None = None) -> Any:
        """The network in place of an official file; the last one of each file is cached."""
        key = precision or "exact"
        if name not in self._networks or self._networks[name][0] != key:
            self._networks.pop(name, None)  # never two at once
            self._networks[name] = key, self.loaded(name, precision)
        return self._networks[name][1]

    def loaded(self, name: str, precision: str | None = None) -> Any:
        """The same, not cached."""
        if self.bundled and not (self.tiny and name == synthetic_weights.RESTORER):
            return load(BUNDLED[name], self.device, precision or "exact")
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
