"""Small networks in ONNX files: restorers and occluders of one convolution each, and recognisers."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: The restorer's weights of red, green and blue, and what is added: another order or range of the colours is seen.
WEIGHTS, BIAS = (0.9, 0.5, -0.7), (0.1, 0.0, 0.2)


def save(
    path: Path, nodes: list, inputs: dict, outputs: dict, constants: dict | None = None, metadata: dict | None = None
) -> Path:
    """Write a graph. Inputs and outputs: name -> (shape, type); constants: name -> array."""
    values = [
        [helper.make_tensor_value_info(name, kind, shape) for name, (shape, kind) in v.items()] for v in (inputs, outputs)
    ]
    arrays = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    model = helper.make_model(
        helper.make_graph(nodes, "graph", *values, arrays), opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def restorer(
    path: Path, side: int | str = 64, batch: int | str = 1, *, half: bool = False, metadata: dict | None = None, weights=WEIGHTS
) -> Path:
    """Each colour times its weight plus its bias. The second output stands for those of RestoreFormer++'s files."""
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    shape = [batch, 3, side, side]
    kernel = np.zeros((3, 3, 3, 3), np.float16 if half else np.float32)
    kernel[range(3), range(3), 1, 1] = weights
    node = helper.make_node("Conv", ["input", "kernel", "bias"], ["output"], pads=[1, 1, 1, 1])
    more = helper.make_node("Relu", ["output"], ["maps"])
    constants = {"kernel": kernel, "bias": np.array(BIAS, kernel.dtype)}
    return save(
        path, [node, more], {"input": (shape, kind)}, dict.fromkeys(("output", "maps"), (shape, kind)), constants, metadata
    )


def occluder(path: Path, *, channels_last: bool = False, logits: bool = False) -> Path:
    """Sees a face where red is stronger than green by a twentieth: RGB where channels come first, BGR where they come last."""
    kernel = np.array([80.0, -80.0, 0.0], np.float32)[:: -1 if channels_last else 1].reshape(1, 3, 1, 1)
    constants = {"kernel": kernel.copy(), "bias": np.array([-4.0], np.float32)}
    nodes = [helper.make_node("Conv", ["crops", "kernel", "bias"], ["score"])]
    if not logits:
        nodes.append(helper.make_node("Sigmoid", ["score"], ["mask"]))
    before, after = "crops", "score" if logits else "mask"
    shape, seen = ["N", 3, 256, 256], ["N", 1, 256, 256]
    if channels_last:
        nodes = [helper.make_node("Transpose", ["in_face"], ["crops"], perm=[0, 3, 1, 2]), *nodes]
        nodes.append(helper.make_node("Transpose", [after], ["out_mask"], perm=[0, 2, 3, 1]))
        before, after, shape, seen = "in_face", "out_mask", ["N", 256, 256, 3], ["N", 256, 256, 1]
    return save(path, nodes, {before: (shape, TensorProto.FLOAT)}, {after: (seen, TensorProto.FLOAT)}, constants)


def recogniser(path: Path, side: int | str = 112, *, channels_last: bool = False, metadata: dict | None = None) -> Path:
    """As ArcFace's files: 512 numbers, each a weighted mean of the colours in 7 x 7 parts of a face."""
    shape, constants = [1, 3, side, side], {"weights": mixture(), "all": np.array([0, -1])}
    nodes = [
        helper.make_node("AveragePool", ["face"], ["parts"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Reshape", ["parts", "all"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["embedding"]),
    ]
    if channels_last:
        nodes, shape = [helper.make_node("Transpose", ["pixels"], ["face"], perm=[0, 3, 1, 2]), *nodes], [1, side, side, 3]
    taken = "pixels" if channels_last else "face"
    return save(
        path, nodes, {taken: (shape, TensorProto.FLOAT)}, {"embedding": ([1, 512], TensorProto.FLOAT)}, constants, metadata
    )


def mixture() -> np.ndarray:
    """The recogniser's weights of the parts of a face: (147, 512)."""
    return np.random.default_rng(0).normal(size=(3 * 7 * 7, 512)).astype(np.float32)
