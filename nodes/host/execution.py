"""What every node does around its work: defaults for what a prompt leaves out, no NaN, errors in the user's language, before a
run and in it.

Also FACES that take little memory in the host's cache: made only when a node is connected, in half precision.
"""

import functools
import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from comfy_api.latest import io

from ...codeformer_core.faces import AlignedFaces
from . import language

#: The precision of faces that are kept for nodes that may never ask for them: less than a tenth of a level of 8 bits.
KEPT = torch.float16

log = logging.getLogger(__name__)


class LaterFaces:
    """FACES of an output that nothing was connected to; made when a node is connected to it after all."""

    def __init__(self, make: Callable[[], AlignedFaces]) -> None:
        self.make = functools.cache(make)


def is_connected(node: type[io.ComfyNode], output: int) -> bool:
    """Whether any node of the running prompt takes an output of this one; the node declares the hidden prompt and id."""
    prompt, own = getattr(node.hidden, "prompt", None), getattr(node.hidden, "unique_id", None)
    if not prompt or own not in prompt:
        return True
    return any([own, output] == value for other in prompt.values() for value in other["inputs"].values())


def completed(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
    """Decorates a node's `execute`, under `classmethod`.

    An API prompt may leave out every widget that has a default; the default is the schema's, said nowhere else. JSON knows
    NaN, which passes the host's comparisons with least and largest values.
    """

    @functools.wraps(execute)
    def run(cls: type[io.ComfyNode], **values: Any) -> io.NodeOutput:
        try:
            _check_numbers(values)
            return execute(cls, **{**_defaults(cls), **{name: _whole(value) for name, value in values.items()}})
        except (ValueError, RuntimeError, OSError, ImportError) as error:
            said = language.translate(str(error))
            if said == str(error):
                raise
            raise type(error)(said) from error  # the log has both: the host writes causes, too

    return run


def verdict(check: Callable[..., Any], *values: Any) -> bool | str:
    """What a node's `validate_inputs` answers: True, or the sentence of the error that a check of these values raises."""
    try:
        check(*values)
    except (ValueError, OSError) as error:
        said = language.translate(str(error))
        if said != str(error):  # the host logs what it is told
            log.warning(str(error))
        return said
    return True


def _whole(value: Any) -> Any:
    """The value of an input; faces in full precision."""
    faces = value.make() if isinstance(value, LaterFaces) else value
    return faces.to(torch.float32) if isinstance(faces, AlignedFaces) else faces


def _defaults(node: type[io.ComfyNode]) -> dict[str, Any]:
    """The defaults of a node's widgets, by their ids."""
    widgets = [entry for entry in (node.SCHEMA or node.GET_SCHEMA()).inputs if not getattr(entry, "force_input", False)]
    return {entry.id: entry.default for entry in widgets if getattr(entry, "default", None) is not None}


def _check_numbers(values: dict[str, Any]) -> None:
    """A ValueError for a number that is none."""
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"Found {value} at {name}. Expected a number: correct it in the node or the prompt.")
