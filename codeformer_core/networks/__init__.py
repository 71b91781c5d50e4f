"""From a state dict to the network that it belongs to."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from . import background, spandrel_restorer
from .codeformer import CodeFormer
from .folding import fold_upsampling
from .mtcnn import MTCNN
from .parsers import BiSeNet, ParseNet
from .precision import PRECISIONS
from .retinaface import RetinaFace
from .transformer import split_attention
from .vqgan import Architecture

State = Mapping[str, Tensor]


def _prefixed(state: State) -> State:
    return {f"network.{name}": value for name, value in state.items()}


#: In order: (name, a key that only it has, (state dict, operations) -> (network, state dict by its own names)).
FAMILIES: tuple[tuple[str, str, Callable[[State, Any], tuple[nn.Module, State]]], ...] = (
    (
        "CodeFormer",
        "quantize.embedding.weight",
        lambda state, operations: (
            CodeFormer(Architecture.read(state), operations, folded=True),
            fold_upsampling(split_attention(state)),
        ),
    ),
    ("RetinaFace", "ClassHead.0.conv1x1.weight", lambda state, _: (RetinaFace("body.conv1.weight" in state), state)),
    ("MTCNN", "pnet.conv4_1.weight", lambda state, _: (MTCNN(), state)),
    ("ParseNet", "out_mask_conv.conv2d.weight", lambda state, _: (ParseNet(), _prefixed(state))),
    ("BiSeNet", "conv_out16.conv_out.weight", lambda state, _: (BiSeNet(), _prefixed(state))),
)


def misfit(expected: State, found: State) -> str:
    """The first way in which tensors differ from a network's, in words; "" when they fit."""
    # Files of before PyTorch 0.4.1 lack the counter, which inference does not use and PyTorch fills in.
    missing = [key for key in expected if key not in found and not key.endswith("num_batches_tracked")]
    superfluous = [key for key in found if key not in expected]
    for keys, is_what in ((missing, "missing"), (superfluous, "superfluous")):
        if keys:
            return f"{keys[0]} is {is_what}" + (f", as are {len(keys) - 1:,} more" if len(keys) > 1 else "")
    for key, value in found.items():
        if value.shape != expected[key].shape:
            return f"{key} has the shape {tuple(value.shape)}, expected {tuple(expected[key].shape)}"
        if expected[key].is_floating_point() and not value.is_floating_point():
            return f"{key} holds numbers of {str(value.dtype).removeprefix('torch.')}, expected floating point"
    return ""


def load(state: State, operations: Any = nn, name: str = "This file", precision: str = "exact") -> Any:
    """The network that a state dict belongs to, in evaluation mode.

    Args:
        state: parameters by the released files' names (`checkpoints.read` unwraps a file).
        operations: where CodeFormer takes its layers from: `torch.nn`, or the host's casting layers of the same names.
        name: what error messages call the file.
        precision: a row of `precision.PRECISIONS`, for CodeFormer and ParseNet; `precision.suited` names the one for a device.

    Returns:
        A `CodeFormer`, `SpandrelRestorer`, `RetinaFace`, `MTCNN`, `ParseNet`, `BiSeNet`, `BackgroundInpainter` or
        `BackgroundColorizer`; its `role` says which.

    Raises:
        ValueError: no known family or precision, or tensors that are missing, superfluous or of another shape.
        ImportError: some need spandrel, or spandrel_extra_arches.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"{precision!r} is no precision. Use one of: {', '.join(PRECISIONS)}.")
    for module in (spandrel_restorer, background):
        if kind := module.kind_of(state):
            return module.load(state, kind, name).float().eval().requires_grad_(False)
    for family, mark, build in FAMILIES:
        if mark not in state:
            continue
        network: Any
        try:
            with torch.device("meta"):
                network, renamed = build(state, operations)
            problem = misfit(network.state_dict(), renamed)
        except KeyError as error:
            network, renamed, problem = None, {}, f"{error.args[0]} is missing"
        except spandrel_restorer.MALFORMED:
            network, renamed = None, {}
            first = ", ".join(f"{key} {tuple(value.shape)}" for key, value in list(state.items())[:3])
            problem = f"its tensors have shapes that no {family} has (the first are {first})"
        if problem:
            raise ValueError(
                f"{name} looks like {family} but does not fit: {problem}. Expected every tensor of the released layout and no "
                "other: download the file again, or choose another."
            )
        network.load_state_dict(renamed, strict=True, assign=True)
        network.file = name
        network = network.float().eval().requires_grad_(False)
        return network.with_precision(PRECISIONS[precision]) if isinstance(network, CodeFormer | ParseNet) else network
    first = ", ".join(list(state)[:3]) or "none"
    known = ", ".join([*(family for family, _, _ in FAMILIES), *spandrel_restorer.KINDS, *background.KINDS])
    raise ValueError(
        f"{name} is not a network this pack knows ({known}). It has {len(state)} tensors, the first are {first}. "
        "Choose one of the files that `codeformer models` lists."
    )
