"""Networks in ONNX files, run by onnxruntime (extra `onnx`): restorers, occluders (what is in front of a face), recognisers."""

import hashlib
import mmap
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..imaging.resize import resize
from .codeless import CodelessRestorer
from .trial import fault_of

if TYPE_CHECKING:
    from .onnx_graph import OnnxGraph

#: The square of an aligned crop of side 1 that ArcFace's networks see: least squares from their five-point template
#: (insightface/utils/face_align.py) to FFHQ's, 2 of 112 pixels apart at most.
ARCFACE = (65 / 512, 62 / 512, 446 / 512, 443 / 512)

#: A protobuf, which such a file is, cannot be larger.
LARGEST = 2 << 30

#: How the first entry of a tensor begins whose numbers lie in another file: key (field 1) "location", value (field 2).
EXTERNAL = b"\n\x08location\x12"


def load(path: Path, name: str, published: Collection[str] = ()) -> "OnnxRestorer | OnnxOccluder | OnnxRecogniser":
    """The network in a file.

    Args:
        name: what messages call it.
        published: SHA-256 of files that need no trial.

    Raises:
        ImportError: onnxruntime is not installed.
        ValueError: it is damaged, too large, in two files, or another kind of network.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise ImportError(f"{name} is an ONNX network, which needs the package onnxruntime: pip install onnxruntime") from error
    if path.stat().st_size >= LARGEST:
        raise ValueError(f"{name} has {path.stat().st_size:,} bytes, expected less than {LARGEST:,}: choose another file.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find(EXTERNAL) >= 0:
            raise ValueError(
                f"{name} has its weights in a second file, expected one file that holds all. "
                f"Join them in Python: import onnx; onnx.save(onnx.load({name!r}), 'joined.onnx')"
            )
        digest = hashlib.sha256(data).hexdigest()
    problem = "" if digest in published else _trial(digest, path, name)
    if problem:
        raise ValueError(
            f"{name} is no network that onnxruntime {onnxruntime.__version__} can run here ({problem}). "
            "Expected a face restorer, an RGB image in and out, an occluder, or a recogniser: choose another file, or get this "
            "one again."
        )
    from .onnx_graph import OnnxGraph

    graph = OnnxGraph(path, name)
    if graph.embeds:
        return OnnxRecogniser(graph)
    return OnnxOccluder(graph) if graph.channels == 1 else OnnxRestorer(graph)


@cache
def _trial(digest: str, path: Path, name: str) -> str:
    """What `onnx_trial` finds wrong with a file, which is tried once."""
    return fault_of(Path(__file__).with_name("onnx_trial.py"), str(path), name, library="onnxruntime", seconds=600)


def _place() -> nn.Parameter:
    """What tells on which device a module without weights of torch's is."""
    return nn.Parameter(torch.zeros(1), requires_grad=False)


class OnnxRestorer(CodelessRestorer):
    """A face restorer in an ONNX file, such as GPEN or RestoreFormer++."""

    def __init__(self, graph: "OnnxGraph") -> None:
        super().__init__("restorer in ONNX format", graph.name)
        self.graph, self.side, self.place = graph, graph.side, _place()

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs: as GFPGAN's at 512 pixels, and twice as many at twice the side, since the
        layers of such networks have half the channels there."""
        return batch * height * 512 * 64 * 4 * 16

    def restored(self, crops: Tensor) -> Tensor:
        """See `CodelessRestorer`."""
        if self.graph.values == "-1,1":
            return self.graph(crops, self.place.device)
        return self.graph((crops + 1) / 2, self.place.device) * 2 - 1


class OnnxOccluder(nn.Module):
    """A network that tells a face from what is in front of it, such as facefusion's xseg or VisoMaster's occluder.

    Attributes:
        role: "occluder".
        side: S, the side of its crops.
        file: what messages call it.
    """

    role = "occluder"

    def __init__(self, graph: "OnnxGraph") -> None:
        super().__init__()
        self.graph, self.side, self.file, self.place = graph, graph.side, graph.name, _place()

    def visible(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) RGB in [0, 1] -> (N, 1, s, s) in [0, 1]: 1 where the face is seen, 0 elsewhere.

        Graphs with channels last are DeepFaceLab's, which read BGR. Results far outside [0, 1] are logits. What is nearly
        certain becomes exactly 0 or 1, so that pixels which are covered keep their bits; edges stay soft.
        """
        seen = self.graph(crops.flip(1) if self.graph.channels_last else crops, self.place.device)
        low, high = seen.aminmax()
        seen = seen.sigmoid() if low < -0.5 or high > 1.5 else seen
        return (seen * 2 - 0.5).clamp(0, 1)


class OnnxRecogniser(nn.Module):
    """A face recognition network such as ArcFace (Deng et al., 2019), for the identity of `codeformer evaluate`.

    `recognition.SAME_PERSON` is a distance of dlib's embeddings, and tells nothing of these.

    Attributes:
        role: "recogniser".
    """

    role = "recogniser"

    def __init__(self, graph: "OnnxGraph") -> None:
        super().__init__()
        self.graph, self.place = graph, _place()

    def describe(self, crops: Tensor) -> Tensor:
        """See `recognition.Recogniser`; (N, D), of any length."""
        x0, y0, x1, y1 = (round(value * crops.shape[-1]) for value in ARCFACE)
        chips = resize(crops[..., y0:y1, x0:x1], self.graph.side)
        return self.graph(chips if self.graph.values == "0,1" else chips * 2 - 1, self.place.device).cpu()
