"""From a state dict to the network that it belongs to."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from . import bisenet, codeformer, parsenet, retinaface
from .folding import fold_upsampling
from .precision import PRECISIONS
from .transformer import split_attention
from .vqgan import Architecture


def _codeformer(state: Mapping[str, Tensor], operations: Any) -> tuple[nn.Module, Mapping[str, Tensor]]:
    architecture = Architecture.read(state)
    with torch.device("meta"):
        network = codeformer.CodeFormer(architecture, operations, folded=True)
    return network, fold_upsampling(split_attention(state))


#: In order: (what it is called, a key that only it has, state dict -> (network on the meta device, state dict by its names)).
FAMILIES: tuple[tuple[str, str, Callable[[Mapping[str, Tensor], Any], tuple[nn.Module, Mapping[str, Tensor]]]], ...] = (
    ("CodeFormer", "quantize.embedding.weight", _codeformer),
    ("RetinaFace", "ClassHead.0.conv1x1.weight", retinaface.build),
    ("ParseNet", "out_mask_conv.conv2d.weight", parsenet.build),
    ("BiSeNet", "conv_out16.conv_out.weight", bisenet.build),
)

#: The networks that can compute in more than one precision.
MIXED = (codeformer.CodeFormer, parsenet.ParseNet)

#: Other restorers that lie in the same folders, by how their parameters' names begin.
OTHERS = {"GFPGAN": "stylegan_decoder", "RestoreFormer": "encoder.down.0"}


def load(state: Mapping[str, Tensor], operations: Any = nn, name: str = "This file", precision: str = "exact") -> Any:
    """The network that a state dict belongs to, in evaluation mode.

    Args:
        state: parameters by the released files' names (`checkpoints.read` unwraps a file).
        operations: where CodeFormer takes its layers from: `torch.nn`, or the host's casting layers of the same names.
        name: what error messages call the file.
        precision: a row of `precision.PRECISIONS`, for restorers and ParseNet; `precision.suited` names the one for a device.

    Returns:
        A `CodeFormer`, `RetinaFace`, `ParseNet` or `BiSeNet`; its `role` says which.

    Raises:
        ValueError: no known family or precision, or tensors that are missing, superfluous or of another shape.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"{precision!r} is no precision. Use one of: {', '.join(PRECISIONS)}.")
    for family, mark, build in FAMILIES:
        if mark not in state:
            continue
        try:
            network, renamed = build(state, operations)
        except KeyError as missing:
            raise ValueError(_incomplete(name, family, f"{missing.args[0]} is missing")) from missing
        try:
            network.load_state_dict(renamed, strict=True, assign=True)
        except RuntimeError as error:
            raise ValueError(_incomplete(name, family, " ".join(str(error).split()[:60]))) from error
        network = network.float().eval().requires_grad_(False)
        return network.with_precision(PRECISIONS[precision]) if isinstance(network, MIXED) else network
    for other, mark in OTHERS.items():
        if any(key.startswith(mark) for key in state):
            raise ValueError(f"{name} is a {other} file, which this pack does not run. Choose a CodeFormer file instead.")
    first = ", ".join(list(state)[:3]) or "none"
    known = ", ".join(family for family, _, _ in FAMILIES)
    raise ValueError(
        f"{name} is not a face network this pack knows ({known}). It has {len(state)} tensors, the first are {first}. "
        "Choose one of the files that `codeformer models` lists."
    )


def _incomplete(name: str, family: str, problem: str) -> str:
    return (
        f"{name} looks like {family} but does not fit: {problem}. Expected every tensor of the released layout and no other: "
        "download the file again, or choose another."
    )
