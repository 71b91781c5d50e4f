"""A graph of an ONNX file on a device; importing this needs onnxruntime (extra `onnx`)."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from .onnx_trial import ERRORS, create, layout

log = logging.getLogger(__name__)

#: torch's kind of device -> onnxruntime's providers for it; whatever is not here runs on the CPU.
PROVIDERS = {
    "cuda": ("CUDAExecutionProvider", "MIGraphXExecutionProvider", "ROCMExecutionProvider"),
    "privateuseone": ("DmlExecutionProvider",),
}

#: The metadata of a file that says which values its images have; without it -1 to 1, as in every published restorer.
RANGE_KEY = "value_range"
RANGES = ("-1,1", "0,1")


def providers(device: torch.device) -> list[Any]:
    """What onnxruntime may run on: the device's own provider where it has one, else the CPU."""
    available = onnxruntime.get_available_providers()
    own = [(name, {"device_id": str(device.index or 0)}) for name in PROVIDERS.get(device.type, ()) if name in available]
    return [*own[:1], "CPUExecutionProvider"]


class OnnxGraph:
    """A graph that turns images into images or embeddings. It pickles by path, and threads may share it.

    Attributes:
        path, name: of the file, and what messages call it.
        side: S, the side of its images.
        batch: how many it takes in a call; 0 for any number.
        channels_last: whether it takes (N, S, S, 3), as networks of TensorFlow do.
        channels: of its first output, as the file says it; the only output that is asked for.
        embeds: whether that is (N, D), numbers that describe each image.
        values: one of `RANGES`.
        weight_bytes: about what a session takes.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name, self.weight_bytes = path, name, path.stat().st_size
        self._session: tuple[torch.device, Any] | None = None
        session = self.session(torch.device("cpu"))
        taken = layout(session, name)
        self.side, self.batch, self.channels_last, self.channels = taken.side, taken.batch, taken.channels_last, taken.channels
        self.embeds = taken.embeds
        self._input, self._output, self._dtype = taken.name, session.get_outputs()[0].name, taken.dtype
        self.values = session.get_modelmeta().custom_metadata_map.get(RANGE_KEY, RANGES[0])
        if self.values not in RANGES:
            raise ValueError(f"{name} has the {RANGE_KEY} {self.values!r}, expected one of {' or '.join(RANGES)}: correct it.")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    def session(self, device: torch.device) -> Any:
        """The session on a device, made when it is first asked for."""
        kept = self._session  # two threads may both make one: one of them is dropped
        if kept is None or kept[0] != device:
            kept = device, create(str(self.path), providers(device), torch.get_num_threads())
            if device.type != "cpu" and kept[1].get_providers()[0] == "CPUExecutionProvider":
                log.warning("%s runs on the CPU: the installed onnxruntime cannot use %s.", self.name, device)
            self._session = kept
        return kept[1]

    def release(self) -> None:
        """Free the memory of the session; the next call makes a new one."""
        self._session = None

    def __call__(self, images: Tensor, device: torch.device) -> Tensor:
        """Images (N, 3, S, S) -> the first output (N, C, s, s) or (N, D) in float32, on the images' device."""
        given = images.movedim(1, -1) if self.channels_last else images
        pixels = given.cpu().numpy().astype(self._dtype)
        size = self.batch or len(pixels)
        try:
            session = self.session(device)
            parts = [self._run(session, pixels[row : row + size]) for row in range(0, len(pixels), size)]
        except ERRORS as error:
            said = str(error).strip().partition("\n")[0]
            if "alloc" in said.lower() or "out of memory" in said.lower():
                raise MemoryError(f"onnxruntime: {said}") from error
            raise RuntimeError(f"{self.name} stopped in onnxruntime ({said}). Use another device or file.") from error
        result = torch.from_numpy(np.concatenate(parts)).to(images.device, torch.float32)
        return result.movedim(-1, 1) if self.channels_last else result

    def _run(self, session: Any, pixels: np.ndarray) -> np.ndarray:
        """One call; a batch of fixed size is filled up with copies of the last image."""
        missing = max(0, self.batch - len(pixels))
        filled = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)]) if missing else pixels
        return session.run([self._output], {self._input: np.ascontiguousarray(filled)})[0][: len(pixels)]
