"""Encoder and generator of CodeFormer computed by OpenVINO (extra `openvino`) instead of PyTorch, on a CPU."""

import sys
import warnings
from collections.abc import Mapping
from threading import Lock
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from .codeformer import CodeFormer
from .precision import PRECISIONS

#: What a network can be computed by.
ENGINES = ("torch", "openvino")

#: Dtype of a part -> OpenVINO's name of it. A processor without bfloat16 computes in float32 all the same.
HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}

#: With this package OpenVINO reports when it is imported and what it converts; without, it does not.
TELEMETRY = "openvino_telemetry"


def import_openvino() -> ModuleType:
    """OpenVINO without its telemetry, unless the program has imported it before.

    Raises:
        ImportError: it is not installed.
    """
    silenced = {"openvino", TELEMETRY}.isdisjoint(sys.modules)
    if silenced:
        sys.modules[TELEMETRY] = None  # pyright: ignore[reportArgumentType] - its import fails, and OpenVINO does without
    try:
        import openvino
    except ModuleNotFoundError as error:
        if error.name != "openvino":
            raise
        raise ImportError("The engine openvino needs the package openvino: pip install openvino") from error
    finally:
        if silenced:
            del sys.modules[TELEMETRY]
    return openvino


def by_openvino(network: Any, precision: str, device: torch.device) -> CodeFormer:
    """Let OpenVINO compute encoder and generator of a network, in place. Returns the network.

    Args:
        network: as it is loaded in "exact".
        precision: a row of `PRECISIONS`; in "fast" the whole encoder is in bfloat16.

    Raises:
        ImportError: OpenVINO is not installed.
        ValueError: the network is no CodeFormer, or the device is not the CPU.
    """
    if not isinstance(network, CodeFormer):
        raise ValueError(
            f"Found a {type(network).__name__}. The engine openvino computes nothing but a CodeFormer: leave the engine out."
        )
    if device.type != "cpu":
        raise ValueError(
            f"The engine openvino computes on the CPU, and the device is {device}: use cpu, or leave the engine out."
        )
    import_openvino()
    network.layout = torch.contiguous_format  # channels_last has a normalisation of our own, which OpenVINO does not know
    network.to(memory_format=network.layout)  # pyright: ignore[reportCallIssue] - not in the stubs of nn.Module.to
    encoder_dtype, generator_dtype = PRECISIONS[precision]
    sides = network.arch.fuse_sides
    encoder = _Graph(_Encoder(network), encoder_dtype)
    generators = {fused: _Graph(_Generator(network), generator_dtype) for fused in (True, False)}

    def encode(x: Tensor, keep: tuple[int, ...] = ()) -> tuple[Tensor, dict[int, Tensor]]:
        features, *maps = encoder(x)
        return features, {side: one for side, one in zip(sides, maps, strict=True) if side in keep}

    def generate(x: Tensor, kept: Mapping[int, Tensor], weights: Mapping[int, float | Tensor]) -> Tensor:
        maps = [kept[side] for side in sides if kept]
        spread = [torch.as_tensor(weights[side]).expand(len(x), 1, side, side) for side in sides if kept]
        return generators[bool(kept)](x, *maps, *spread)[0]

    network.encode, network.generate = encode, generate
    return network


class _Encoder(nn.Module):
    """The features of a face, then the maps of all sides of the fusion."""

    def __init__(self, network: CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features, kept = self.network.encoder(x, self.network.arch.fuse_sides)
        return features, *(kept[side] for side in self.network.arch.fuse_sides)


class _Generator(nn.Module):
    """`CodeFormer.generate` with a map and then a weight for each side of the fusion, or none at all."""

    def __init__(self, network: CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, *maps: Tensor) -> tuple[Tensor]:
        count = len(maps) // 2
        kept = dict(zip(self.network.arch.fuse_sides, maps[:count], strict=False))
        weights = dict(zip(kept, maps[count:], strict=True))
        return (CodeFormer.generate(self.network, x, kept, weights),)


class _Graph:
    """A module as a graph of OpenVINO's that takes one face at a time; threads may share it.

    It is converted at its first call, by tracing that, and compiled for the number of PyTorch's threads that this has. Threads
    that share out the cores (a folder) have a stream each.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        self._module, self._dtype = module.eval(), dtype
        self._cores, self._lock = torch.get_num_threads(), Lock()
        self._compiled: Any = None

    def __call__(self, *batches: Tensor) -> list[Tensor]:
        """The outputs for inputs (N, ...), each (N, ...)."""
        faces = [
            [one.contiguous() for one in face] for face in zip(*(batch.float().split(1) for batch in batches), strict=True)
        ]
        with self._lock:
            if self._compiled is None:
                self._compiled = self._compile(faces[0])
        outputs = [self._of_one(face) for face in faces]
        return outputs[0] if len(outputs) == 1 else [torch.cat(parts) for parts in zip(*outputs, strict=True)]

    def _of_one(self, face: list[Tensor]) -> list[Tensor]:
        request = self._compiled.create_infer_request()  # its own: what is shared with PyTorch is overwritten by the next call
        found = request.infer([one.numpy() for one in face], share_inputs=True, share_outputs=True)
        return [torch.from_numpy(one) for one in found.to_tuple()]

    def _compile(self, face: list[Tensor]) -> Any:
        openvino = import_openvino()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's, about checks of shapes
            traced = torch.jit.trace(self._module, tuple(face), check_trace=False)
            graph = openvino.convert_model(traced, example_input=tuple(face), input=[list(one.shape) for one in face])
        threads = torch.get_num_threads()
        how = {
            "INFERENCE_PRECISION_HINT": HINTS[self._dtype],
            "INFERENCE_NUM_THREADS": max(self._cores, threads),
            "NUM_STREAMS": max(1, self._cores // threads),
            "ENABLE_CPU_PINNING": False,  # PyTorch's threads need the cores between the calls
        }
        return openvino.compile_model(graph, "CPU", how)
