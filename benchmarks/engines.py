"""`python -m benchmarks --against openvino,onnxruntime`: this project's networks beside other engines, from an export."""

import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from codeformer_core import networks
from codeformer_core.align import align
from codeformer_core.checkpoints import read
from codeformer_core.cli.process import keep_memory
from codeformer_core.detection.faces_json import from_json
from codeformer_core.image_io import read as read_image
from codeformer_core.networks.openvino_engine import import_openvino
from codeformer_core.networks.precision import suited

from . import parity, synthetic_weights
from .cases import PRECISIONS
from .clock import timed
from .report import aligned_text
from .resources import FIDELITY

_CPU = torch.device("cpu")

#: Seconds before each call: threads of the engine before look for work for a while, and take the cores meanwhile.
REST = 0.5

#: A face -> (the restored face (1, 3, S, S), the logits of its codes), as tensors.
Engine = Callable[[Tensor], tuple[Tensor, Tensor]]

#: A network's weights, and an aligned face (1, 3, S, S) in [0, 1].
Subject = tuple[networks.State, Tensor]


class Result(NamedTuple):
    """One engine on one network.

    Attributes:
        seconds: median of a face.
        ratio: how many times as fast as this project in `exact`, in the same rounds.
        decibels: PSNR to `exact`; None when equal bit for bit.
        codes: share of the codes that are those of `exact`.
    """

    network: str
    engine: str
    seconds: float
    ratio: float
    decibels: float | None
    codes: float


class _Exported(nn.Module):
    """What is exported: `restore` at the benchmark's fidelity, with the logits beside it."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        encoded = self.network.encode_faces(crops, FIDELITY)
        return self.network.decode_faces(encoded, FIDELITY), encoded.logits


def _onnxruntime(model: Path) -> Iterator[tuple[str, Engine]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    yield "onnxruntime fp32", lambda crops: _tensors(session.run(None, {"crops": crops.numpy()}))


def _openvino(model: Path) -> Iterator[tuple[str, Engine]]:
    core = import_openvino().Core()
    graph = core.read_model(model)
    hints = {"fp32": "f32"} | ({"bf16": "bf16"} if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else {})
    for name, hint in hints.items():
        # Pinned threads would keep those of the other engines from their cores.
        threads = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads(), "ENABLE_CPU_PINNING": False}
        compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": hint, **threads})
        yield f"openvino {name}", lambda crops, run=compiled: _tensors(run(crops.numpy()).to_tuple())


#: The choices of --against, which are the packages' names -> from an ONNX graph to its engines by name.
ENGINES: dict[str, Callable[[Path], Iterator[tuple[str, Engine]]]] = {"openvino": _openvino, "onnxruntime": _onnxruntime}


def check(args: Namespace) -> None:
    """A ValueError when the engines cannot be run, or an option would be without effect."""
    if missing := [name for name in (*args.against, "onnx") if find_spec(name) is None]:
        raise ValueError(f"--against needs packages that are not installed: pip install {' '.join(missing)}")
    if args.device not in ("all", "cpu"):
        raise ValueError(f"--against measures on the CPU: leave out --device {args.device}.")
    if args.allocator == "ours-kept":
        raise ValueError("The engines share one process: use --allocator kept or as-it-comes with --against.")
    without = ("full", "steps", "sizes", "faces", "batches", "reference", "seconds")
    if given := [f"--{name}" for name in without if getattr(args, name) not in (None, False)]:
        raise ValueError(f"--against restores one face by each engine: leave out {', '.join(given)}.")


def run(args: Namespace, folder: Path) -> Iterator[Result]:
    """The results of the command's options."""
    if args.allocator == "kept":
        keep_memory()
    precisions = args.precisions or (PRECISIONS if suited("auto", _CPU) != "exact" else ())  # emulated they take minutes
    return compare(args.against, precisions, subjects(args.tiny, folder), args.rounds or 5, folder)


def subjects(tiny: bool, folder: Path) -> dict[str, Callable[[], Subject]]:
    """The networks by name: the released one with the goldens' weights, the starter on a real face; or a tiny one."""
    if tiny:
        return {
            "tiny": lambda: (read(synthetic_weights.file(folder, synthetic_weights.RESTORER, True)), torch.rand(1, 3, 64, 64))
        }
    return {"CodeFormer": parity.golden, "starter": _starter}


def _starter() -> Subject:
    photo = parity.PARITY.parent / "photos" / "astronaut_1face.png"
    faces, _ = from_json((parity.PARITY.parent / "faces" / "astronaut_1face.json").read_bytes())
    weights = read(Path(__file__).resolve().parent.parent / "weights" / "codeformer_starter.safetensors")
    return weights, align(read_image(photo).image, faces, side=128).crops


def compare(
    against: Sequence[str], precisions: Sequence[str], found: dict[str, Callable[[], Subject]], rounds: int, folder: Path
) -> Iterator[Result]:
    """Every engine on every network, round by round in turns; the exports are written to `folder`."""
    for name, subject in found.items():
        state, crops = subject()
        engines = dict(_ours(state, precisions))
        model = _export(state, crops, folder / f"{name}.onnx")
        for package in against:
            engines |= dict(ENGINES[package](model))
        outputs = {engine: restore(crops) for engine, restore in engines.items()}  # the warm-up
        times: dict[str, list[float]] = {engine: [] for engine in engines}
        for _ in range(rounds):
            for engine, restore in engines.items():
                time.sleep(REST)
                times[engine].append(timed(partial(restore, crops), _CPU))
        for engine in engines:
            seconds = median(times[engine])
            yield Result(name, engine, seconds, median(times["exact"]) / seconds, *_close(outputs[engine], outputs["exact"]))


def _close(found: tuple[Tensor, Tensor], exact: tuple[Tensor, Tensor]) -> tuple[float | None, float]:
    error = (found[0] - exact[0]).square().mean()
    codes = found[1].argmax(2) == exact[1].argmax(2)
    return float(-10 * error.log10()) if error else None, float(codes.float().mean())


def table(results: Sequence[Result]) -> str:
    """The results as text."""
    head = ["network", "engine", "ms", "times as fast as exact", "PSNR to exact, dB", "equal codes"]
    rows = [
        [one.network, one.engine, f"{one.seconds * 1000:.0f}", f"{one.ratio:.2f}", _db(one.decibels), f"{one.codes:.1%}"]
        for one in results
    ]
    return aligned_text([head, *rows], right={2, 3, 4, 5})


def _db(decibels: float | None) -> str:
    return "equal" if decibels is None else f"{decibels:.1f}"


def _ours(state: networks.State, precisions: Sequence[str]) -> Iterator[tuple[str, Engine]]:
    for precision in dict.fromkeys(("exact", *precisions)):
        yield precision, _Exported(networks.load(dict(state), precision=precision))


def _export(state: networks.State, crops: Tensor, path: Path) -> Path:
    network = networks.load(dict(state))
    network.layout = torch.contiguous_format  # channels_last has a normalisation of our own, which other engines do not know
    network.to(memory_format=torch.contiguous_format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about checks of shapes; the exporter without it needs one package more
        torch.onnx.export(_Exported(network).eval(), (crops,), path, dynamo=False, opset_version=18, input_names=["crops"])
    return path


def _tensors(arrays: Sequence[Any]) -> tuple[Tensor, Tensor]:
    faces, logits = (torch.from_numpy(array) for array in arrays)
    return faces, logits
