"""The core's networks under the host's memory manager, each with the methods that the core's pipeline asks for."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...codeformer_core import checkpoints
from ...codeformer_core.faces import Face
from ...codeformer_core.networks.codeless import CodelessRestorer
from ...codeformer_core.networks.encoded import EncodedFaces, join_encoded
from ...codeformer_core.networks.onnx_networks import OnnxRestorer
from ...codeformer_core.networks.precision import suited
from ...codeformer_core.networks.retinaface import detection_size
from ...codeformer_core.options import DetectionOptions
from . import memory, model_files, progress

#: Activations of an upscaler for a pixel that goes in and each step of scale, about what the host asks for itself.
UPSCALER_BYTES = 4608


class HostedRestorer(memory.Hosted):
    """A restorer for the core's pipeline; all its methods take at least one face.

    Attributes:
        side: S, the side of the crops in pixels.
    """

    casts = True

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.side: int = network.side

    @property
    def batch(self) -> int:
        """How many faces a call takes now."""
        return self.at_once(self.side, self.side)

    def require_task(self, task: str) -> None:
        """A ValueError when the weights were trained for another task than "restoration", "colorization" or "inpainting"."""
        self.network.require_task(task)

    def restore(self, crops: Tensor, fidelity: float | Tensor, match_style: bool = True) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> restored, where and as the crops are. `fidelity`: a number, (N,) or (N, 1, h, w)."""

        def restore_part(part: slice, faces: Tensor) -> Tensor:
            return self.network.restore(faces, _weight(fidelity, part, len(crops)), match_style)

        return self.joined(restore_part, crops)

    def encode_faces(self, crops: Tensor, fidelity: float | Tensor) -> EncodedFaces:
        """The first half of `restore`: crops (N, 3, S, S) in [0, 1] -> their encodings, where the network ran."""
        most = float(fidelity.max()) if isinstance(fidelity, Tensor) else fidelity  # every part keeps the same maps
        return join_encoded(self.over_parts(lambda _, faces: self.network.encode_faces(faces, most), crops))

    def decode_faces(self, encoded: EncodedFaces, fidelity: float | Tensor, match_style: bool = True) -> Tensor:
        """The second half: the encodings of N faces -> restored crops (N, 3, S, S) in [0, 1], where the network ran."""

        def decode_part(part: slice) -> Tensor:
            return self.network.decode_faces(encoded.rows(part), _weight(fidelity, part, encoded.faces), match_style)

        return torch.cat(self.in_parts(decode_part, encoded.faces, self.side, self.side))

    def sweep(self, crops: Tensor, fidelities: Sequence[float], match_style: bool = True) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> restored with each of W fidelities (N, W, 3, S, S), where and as the crops are."""
        return self.joined(lambda _, faces: self.network.sweep(faces, fidelities, match_style), crops)

    def colorize(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> with colours, where and as the crops are."""
        return self.joined(lambda _, faces: self.network.colorize(faces), crops)

    def inpaint(self, crops: Tensor, holes: Tensor) -> Tensor:
        """Crops (N, 3, S, S) and holes (N, 1, S, S), in [0, 1] -> filled, where and as the crops are."""
        return self.joined(lambda part, faces: self.network.inpaint(faces, self.to_device(holes[part])), crops)

    def certainty(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> how sure each cell of the face is (N, 1, s, s), where and as the crops are."""
        return self.joined(lambda _, faces: self.network.certainty(faces), crops)


def _weight(fidelity: float | Tensor, part: slice, faces: int) -> float | Tensor:
    """The fidelity of a part of `faces` faces: the same one, unless there is one for each."""
    if isinstance(fidelity, Tensor) and fidelity.ndim > 0 and len(fidelity) == faces:
        return fidelity[part]
    return fidelity


class HostedPlainRestorer(HostedRestorer):
    """A restorer of plain layers, whose weights the host moves all together: GFPGAN, RestoreFormer."""

    casts = False


class HostedOnnxRestorer(HostedPlainRestorer):
    """A restorer that onnxruntime runs, whose memory is freed when the host unloads it: GPEN, RestoreFormer++."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        graph = network.graph
        self.most = min(self.most, graph.batch or self.most)  # so that Cancel is looked for between the calls
        memory.keep_outside(self.patcher, graph.weight_bytes, graph.release)


class HostedDetector(memory.Hosted):
    """A face detector for the core's pipeline."""

    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) in [0, 1]."""

        def detect_part(part: slice) -> list[Face]:
            faces = self.network.detect(self.to_device(images[part]), options)
            return [face._replace(image_index=face.image_index + part.start) for face in faces]

        height, width = images.shape[-2:]
        parts = self.in_parts(detect_part, len(images), *detection_size(height, width, options.side))
        return [face for faces in parts for face in faces]


class HostedParser(memory.Hosted):
    """A face parser for the core's masks."""

    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> labels (N, S, S), where the crops are."""
        return torch.cat(self.over_parts(lambda _, faces: self.network.parse(faces).to(crops.device), crops))


class HostedRecogniser(memory.Hosted):
    """A recogniser for the core's `recognition`; Cancel is looked for before each face."""

    def describe(self, crops: Tensor) -> Tensor:
        """Aligned faces (N, 3, S, S) in [0, 1] -> descriptions (N, 128) on the CPU."""
        return torch.cat(self.over_parts(lambda _, faces: self.network.describe(faces), crops))


class HostedUpscaler:
    """The host's UPSCALE_MODEL for the core's `imaging.tiling.upscale_images`, which halves the tile when memory runs out.

    Attributes:
        descriptor: spandrel's model, with the patcher that the host's loader gave it.
        network: the network itself.
        scale: how many times larger the result is.
    """

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor
        self.network = descriptor.model
        self.scale: int = descriptor.scale

    def __call__(self, image: Tensor, /) -> Tensor:
        """(1, 3, h, w) RGB in [0, 1] -> (1, 3, h * scale, w * scale) in [0, 1], on the network's device."""
        needed = image.shape[-2] * image.shape[-1] * UPSCALER_BYTES * max(1, self.scale)
        device = memory.place(self.descriptor.patcher, needed)
        with memory.cancellable(self.descriptor.patcher.model):
            return self.descriptor(image.to(device, torch.float32))


class HostedBackground(memory.Hosted):
    """A network for the whole photo, for the core's `background`: LaMa or MAT, or DDColor."""

    def require_task(self, task: str) -> None:
        """A ValueError when it is for another task than "inpainting" or "colorization"."""
        self.network.require_task(task)

    @property
    def side(self) -> int:
        """The side of the squares that a colorizer sees."""
        return self.network.side

    def fill(self, images: Tensor, holes: Tensor) -> Tensor:
        """Images (N, 3, h, w) in [0, 1] and holes (N, 1, h, w) -> filled, where and as the images are."""
        return self.joined(lambda part, seen: self.network.fill(seen, self.to_device(holes[part])), images)

    def chroma(self, grey: Tensor) -> Tensor:
        """Photos (N, 1, side, side) in [0, 1] -> their a and b (N, 2, side, side), where and as the photos are."""
        return self.joined(lambda _, seen: self.network.chroma(seen), grey)


#: What wraps the networks of a role.
WRAPPERS: dict[str, type[memory.Hosted]] = {
    "restorer": HostedRestorer,
    "detector": HostedDetector,
    "parser": HostedParser,
    "background": HostedBackground,
}


def load(role: str, name: str, precision: str = "auto", show: Callable[[str], None] = progress.log_and_show) -> Any:
    """The network of a file that the user chose, in the wrapper of its role; errors as in `model_files.read`.

    Args:
        precision: one of `precision.CHOICES`.
        show: called with what is fetched.
    """
    wrapper = WRAPPERS[role]
    network = model_files.read(role, name, suited(precision, wrapper.home()), show)
    if isinstance(network, CodelessRestorer):
        wrapper = HostedOnnxRestorer if isinstance(network, OnnxRestorer) else HostedPlainRestorer
    return wrapper(network)


def load_once(role: str, name: str) -> Any:
    """`load` for nodes without a loader, which would load at each run: the last few are kept until their files change."""
    return _load_once(role, name, model_files.fingerprint(role, name))


@lru_cache(maxsize=4)
def _load_once(role: str, name: str, fingerprint: str) -> Any:
    return load(role, name)


@lru_cache(maxsize=1)
def recogniser() -> HostedRecogniser:
    """The recogniser of the extra `people`.

    Raises:
        ValueError, ImportError: its packages are not installed, or damaged.
    """
    model = checkpoints.lookup("dlib-recogniser")
    assert model is not None
    return HostedRecogniser(checkpoints.load(checkpoints.fetch(model, Path())))
