"""Load the tensors or the network of a checkpoint file, without running any code that the file holds.

torch is imported by the functions that need it, so that `codeformer --help` is quick.
"""

import mmap
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .archive import RefusedArchive, can_be_mapped, largest_content
from .manifest import catalogue, lookup

if TYPE_CHECKING:
    from torch import Tensor


_WRAPPERS = ("params_ema", "params", "state_dict")  # best first: basicsr keeps the averaged weights under params_ema

_LARGEST_YUNET = 16 << 20  # bytes; the published ones have 230,000

#: What torch's and safetensors' readers raise for bytes that they did not write, found by cutting and flipping every byte of
#: small files; a pickle that asks for code is an UnpicklingError too and is told apart by its message.
UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


def load(path: Path, operations: Any = None, precision: str = "exact", *, name: str = "", mapped: bool = True) -> Any:
    """The network in a model file, in evaluation mode on the CPU.

    Args:
        path: .onnx for YuNet; .dat for dlib's; a folder for networks that work together, such as MTCNN's; otherwise
            anything that `read` reads.
        operations: where CodeFormer takes its layers from; None for `torch.nn`.
        precision: see `networks.load`.
        name, mapped: see `read`.

    Raises:
        ValueError: see `read`; or a network that this pack does not know.
        ImportError: dlib is not installed.
    """
    from torch import nn

    from .. import networks
    from ..networks import dlib_networks

    path, name = Path(path), name or Path(path).name
    if name in dlib_networks.NETWORKS:
        return dlib_networks.NETWORKS[name](path)
    if Path(name).suffix.lower() != ".onnx":
        return networks.load(read(path, name, mapped), operations or nn, name, precision)
    _first_bytes(path, name)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        is_yunet = data.find(b"kps_32", 0, _LARGEST_YUNET) >= 0  # the name of its last output
    if is_yunet:
        from ..networks.yunet import YuNet

        return YuNet(path)
    from ..networks import onnx_networks

    return onnx_networks.load(path, name, {str(model.sha256) for model in catalogue()})


def read(path: Path, name: str = "", mapped: bool = True) -> dict[str, "Tensor"]:
    """The tensors of a checkpoint on the CPU, unwrapped (params_ema, params, state_dict) and without "module." prefixes.

    Of a folder those of every .pt file, with the file's name in front. Only tensors are ever built: torch.load runs with
    weights_only.

    Args:
        name: what the file will be called, if not as now.
        mapped: memory-map a zip-format .pth rather than read it; Windows cannot rename it while the tensors live.

    Raises:
        ValueError: no file, no checkpoint, half a checkpoint, one without tensors, or one that asks for code to be run.
    """
    from torch import Tensor

    if Path(path).is_dir():
        parts = {part.stem: read(part, mapped=mapped) for part in sorted(Path(path).glob("*.pt"))}
        return {f"{stem}.{key}": tensor for stem, tensors in parts.items() for key, tensor in tensors.items()}
    path, name = Path(path), name or Path(path).name
    content = _content(path, name, mapped)
    if not isinstance(content, Mapping):
        raise ValueError(f"{name} holds a {type(content).__name__}, expected tensors by name. {_advice(name)}")
    for _ in _WRAPPERS:  # at most one inside the other, however a hostile file nests itself
        content = next((content[w] for w in _WRAPPERS if isinstance(content.get(w), Mapping)), content)
    # A .safetensors file has no nesting: a converter that kept the wrapper wrote it as a prefix.
    prefix = next((f"{w}." for w in _WRAPPERS if any(str(key).startswith(f"{w}.") for key in content)), "")
    content = {str(k).removeprefix(prefix): v for k, v in content.items() if str(k).startswith(prefix)}
    tensors = {k.removeprefix("module."): v.detach() for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        first = ", ".join(map(str, list(content)[:3])) or "nothing"
        raise ValueError(f"{name} holds no tensors by name (found: {first}). Expected a model's weights. {_advice(name)}")
    _check_tensors(tensors, largest_content(path), name)
    return tensors


def _check_tensors(tensors: Mapping[str, "Tensor"], largest: int, name: str) -> None:
    """A ValueError unless every tensor is one of plain numbers, and all of them together are no larger than they may be."""
    import torch

    from ..runtime.finite import broken_weights

    numbers = {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2, torch.bool}
    numbers |= {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
    for key, value in tensors.items():
        kind = str(value.dtype).removeprefix("torch.") if value.dtype not in numbers else ""
        if value.layout != torch.strided or value.is_nested:
            kind = "nested" if value.is_nested else str(value.layout).removeprefix("torch.").replace("_", " ")
        if value.is_meta:
            raise ValueError(f"{name} holds the shape of {key} without its values, expected weights. {_advice(name)}")
        if kind:
            raise ValueError(f"{name} holds a {kind} tensor ({key}), expected plain numbers. {_advice(name)}")
    claimed = sum(value.numel() * value.itemsize for value in tensors.values())
    if claimed > largest:
        raise ValueError(f"{name} claims {claimed:,} bytes of weights, expected at most {largest:,}. {_advice(name)}")
    if broken := broken_weights(tensors):
        raise ValueError(f"{name} holds weights that are not finite ({broken}), expected numbers. {_advice(name)}")


def _content(path: Path, name: str, mapped: bool) -> Any:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    head = _first_bytes(path, name)
    if Path(name).suffix.lower() == ".safetensors" or head[8:9] == b"{":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{name} is incomplete or no safetensors file ({error}). {_advice(name)}") from error
    archive = head.startswith(b"PK\x03\x04")
    if not archive and not head.startswith(b"\x80"):
        raise ValueError(f"{name} is no checkpoint: neither PyTorch nor safetensors wrote it. {_advice(name)}")
    try:
        mapped = archive and can_be_mapped(path) and mapped
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except RefusedArchive as error:
        raise ValueError(f"{name} {error}. {error.advice or _advice(name)}") from error
    except (*UNREADABLE, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(_why_unreadable(path, name, str(error))) from error


def _why_unreadable(path: Path, name: str, message: str) -> str:
    if asked := re.search(r"(?:GLOBAL|[Uu]nsupported class) ([\w.]+)", message):
        return (
            f"{name} was not loaded: it asks for {asked[1]}, which is code, expected nothing but tensors. "
            f"Nothing of it was run. Do not open it with other programs either. {_advice(name)}"
        )
    if "Unsupported operand" in message:
        return (
            f"{name} was not loaded: it is a pickle with instructions that PyTorch's safe reader refuses, expected what "
            f"torch.save writes by default. Nothing of it was run. {_advice(name)}"
        )
    if "TorchScript" in message:
        return f"{name} is a TorchScript program, expected a checkpoint of tensors. {_advice(name)}"
    # What torch says here is long and advises to load the file unsafely; it stays in the chained exception.
    return f"{name} is cut off, damaged or no checkpoint at all{_sizes(path, name)}. {_advice(name)}"


def _first_bytes(path: Path, name: str) -> bytes:
    """The first bytes of a file. A ValueError when it is absent, empty, a web page or a Git LFS pointer."""
    if not path.is_file():
        raise ValueError(f"{name} is not in {path.parent}. Expected a model file there: check the path, or fetch it first.")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise ValueError(f"{name} is empty (0 bytes){_sizes(path, name)}. {_advice(name)}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        raise ValueError(f"{name} is a web page that was saved under this name, expected a model file. {_advice(name)}")
    if text.startswith(b"version https://git-lfs"):
        raise ValueError(
            f"{name} is a Git LFS pointer of {path.stat().st_size} bytes, expected the model file that it stands for. "
            f"Run `git lfs pull` where it came from. {_advice(name)}"
        )
    return head


def _sizes(path: Path, name: str) -> str:
    known = lookup(name)
    if known is None or known.bytes is None:
        return ""
    return f"; found {path.stat().st_size:,} bytes, expected {known.bytes:,}"


def _advice(name: str) -> str:
    known = lookup(name)
    if known:
        return f"Delete it and fetch it again: `codeformer models fetch {known.name}`."
    return "Choose one of the files that `codeformer models` lists, or get this one again where it came from."
