"""What every node does around its work: defaults for what a prompt leaves out, no NaN, errors in the user's language."""

import functools
import math
from collections.abc import Callable
from typing import Any

from comfy_api.latest import io

from . import language


def completed(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
    """Decorates a node's `execute`, under `classmethod`.

    An API prompt may leave out every widget that has a default; the default is the schema's, said nowhere else. JSON knows
    NaN, which passes the host's comparisons with least and largest values.
    """

    @functools.wraps(execute)
    def run(cls: type[io.ComfyNode], **values: Any) -> io.NodeOutput:
        try:
            _check_numbers(values)
            return execute(cls, **{**_defaults(cls), **values})
        except (ValueError, RuntimeError, OSError) as error:
            said = language.translate(str(error))
            if said == str(error):
                raise
            raise type(error)(said) from error  # the log has both: the host writes causes, too

    return run


def _defaults(node: type[io.ComfyNode]) -> dict[str, Any]:
    """The defaults of a node's widgets, by their ids."""
    widgets = [entry for entry in (node.SCHEMA or node.GET_SCHEMA()).inputs if not getattr(entry, "force_input", False)]
    return {entry.id: entry.default for entry in widgets if getattr(entry, "default", None) is not None}


def _check_numbers(values: dict[str, Any]) -> None:
    """A ValueError for a number that is none."""
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"Found {value} at {name}. Expected a number: correct it in the node or the prompt.")
