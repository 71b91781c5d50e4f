"""Load and run an ONNX file in a process of its own, `python onnx_trial.py FILE NAME`: onnxruntime ends it on damaged ones.

onnxruntime 1.32 ended it on one of 20,000 files with a few bytes changed, and raised an error or ran on the others (measured on
2026-11-28). Nothing else of the package is imported, so that the process starts quickly.
"""

import re
import sys
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyright: ignore[reportAttributeAccessIssue]

#: onnxruntime's exceptions have no class in common.
ERRORS = (*(kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)), RuntimeError)

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

#: The sides of the published networks; the first one in the name of a file counts where its graph takes any size.
SIDES = (256, 512, 1024, 2048)

LARGEST_SIDE = 4096

#: How many numbers describe a face in recognition networks, and the side of the faces that ArcFace and its like see.
EMBEDDINGS, RECOGNISED_SIDE = (128, 256, 512), 112

#: Bytes of address space for the trial: a graph of a few bytes can ask for any amount.
MOST_MEMORY = 16 << 30


class Layout(NamedTuple):
    """The first input of a graph.

    Attributes:
        name: of the input.
        dtype: of its numbers.
        batch: how many images it takes; 0 for any number.
        side: S, their width and height.
        channels_last: (N, S, S, 3) instead of (N, 3, S, S).
        channels: of the first output, as the graph says it.
        embeds: whether the first output is a row of numbers for each image, as of a recogniser.
    """

    name: str
    dtype: Any
    batch: int
    side: int
    channels_last: bool
    channels: Any
    embeds: bool


def create(path: str, providers: list[Any], threads: int = 0) -> onnxruntime.InferenceSession:
    """A session; the first provider that is available runs it. `threads` 0: as many as there are cores."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, threads  # its warnings are for whoever exported the file
    return onnxruntime.InferenceSession(path, options, providers=providers)


def layout(session: onnxruntime.InferenceSession, name: str) -> Layout:
    """How a graph takes images. Raises ValueError, which says what is wrong with it, in words."""
    inputs, output = session.get_inputs(), session.get_outputs()[0]
    if len(inputs) != 1:
        raise ValueError(f"it takes {len(inputs)} inputs ({', '.join(entry.name for entry in inputs[:4])})")
    if inputs[0].type not in TYPES:
        raise ValueError(f"it takes {inputs[0].type}")
    shape = [size if isinstance(size, int) and size > 0 else 0 for size in inputs[0].shape]  # others have names
    channels_last = shape[3:] == [3] and shape[1] != 3
    if channels_last:
        shape.insert(1, shape.pop())
    if len(shape) != 4 or shape[1] not in (0, 3) or shape[2] != shape[3] or shape[2] > LARGEST_SIDE:
        raise ValueError(f"its input has the shape {tuple(inputs[0].shape)}")
    channels = output.shape[3 if channels_last else 1] if len(output.shape) == 4 else 0
    embeds = len(output.shape) == 2 and output.shape[1] in EMBEDDINGS
    named = re.search("|".join(map(str, SIDES)), name)
    usual = RECOGNISED_SIDE if embeds else int(named[0]) if named else 256 if channels == 1 else 512
    return Layout(inputs[0].name, TYPES[inputs[0].type], shape[0], shape[2] or usual, channels_last, channels, embeds)


def fault(path: str, name: str) -> str:
    """What is wrong with a file that does not end the process; "" when it turns images into images, or into embeddings."""
    try:
        session = create(path, ["CPUExecutionProvider"])
        taken = layout(session, name)
        image = (3, taken.side, taken.side)
        shape = (taken.batch or 1, *(image[1:] + image[:1] if taken.channels_last else image))
        result: Any = session.run(None, {taken.name: np.zeros(shape, taken.dtype)})[0]
    except (*ERRORS, ValueError, MemoryError) as error:
        return str(error).strip().partition("\n")[0].rpartition(" : ")[2].replace(path, name) or "onnxruntime refuses it"
    found = result.shape if isinstance(result, np.ndarray) else ()
    channels = found[-1 if taken.channels_last else 1] if len(found) == 4 else 0
    fits = len(found) == 2 if taken.embeds else channels == 1 or (channels == 3 and found == shape)
    if found[:1] != shape[:1] or not fits:
        return f"it turns {shape} into {found}"
    return "" if np.isfinite(result).all() else "it gives values that are not finite"


if __name__ == "__main__":
    with suppress(ImportError):  # Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    sys.exit(fault(sys.argv[1], sys.argv[2]) or 0)
