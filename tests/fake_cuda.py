"""A device that is not there, for machines without a GPU: tensors that say they are on one, with their numbers in main memory.

What a GPU forbids is forbidden here too: mixing its tensors with those of the CPU, handing them to NumPy or OpenCV, and, as on
Apple's, numbers of 64 bits. Every copy to it and from it is noted, since each of them waits for all work there.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE, HERE = torch.device("cuda:0"), torch.device("cpu")
_aten = torch.ops.aten
_COPIES = (_aten._to_copy, _aten.copy_, _aten.to)

#: Calls after which the CPU knows something that lay there.
_ASKS = (_aten._local_scalar_dense, _aten.item, _aten.is_nonzero, _aten.equal, _aten.allclose, _aten.nonzero)

#: Calls that numbers of no dimension may not take part in from the CPU either.
_STRICT = (_aten.cat, _aten.stack)

#: Calls that PyTorch computes less accurately on the CPU for channels that are interleaved; GPUs copy such maps first.
_SET_APART = (_aten.native_group_norm, _aten.group_norm)


class Moved(NamedTuple):
    """A copy between the devices: whether it went to the one that is not there, and how many numbers."""

    there: bool
    numbers: int


class _There(Tensor):
    """A tensor on that device; `near` holds its numbers."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> "_There":
        with torch.inference_mode(False):  # or views of it could not be taken in that mode
            return torch.Tensor._make_wrapper_subclass(
                cls, near.shape, near.stride(), near.storage_offset(), dtype=near.dtype, device=DEVICE
            )

    def __init__(self, near: Tensor) -> None:
        self.near = near

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.tolist:  # which PyTorch refuses for every kind of tensor but its own
            return args[0].cpu().tolist()
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of `Elsewhere`")


class Elsewhere(TorchDispatchMode):
    """While it is entered, `DEVICE` can be used as any other.

    Attributes:
        moved: the copies so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved: list[Moved] = []

    def __enter__(self) -> "Elsewhere":
        self._before = torch._C._only_lift_cpu_tensors(), torch.cuda._lazy_init
        self._swaps = torch.__future__.get_swap_module_params_on_conversion()
        torch._C._ensureCUDADeviceGuardSet()
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=DEVICE) makes one here and copies it
        torch.cuda._lazy_init = lambda: None  # type: ignore[method-assign]
        torch.__future__.set_swap_module_params_on_conversion(True)  # networks that are moved get new parameters
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(self._before[0])
        torch.cuda._lazy_init = self._before[1]  # type: ignore[method-assign]
        torch.__future__.set_swap_module_params_on_conversion(self._swaps)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, _There)]
        near = [tensor for tensor in tensors if not isinstance(tensor, _There)]
        called = func.overloadpacket
        if called is _aten.index and there and near and near[0] is not tensors[0]:
            self.moved += [Moved(True, tensor.numel()) for tensor in near]  # a picture there may be indexed from here
        elif there and called not in _COPIES and (foreign := [one for one in near if one.ndim or called in _STRICT]):
            raise RuntimeError(f"{func}: a tensor of shape {tuple(foreign[0].shape)} is on the CPU, others on {DEVICE}")
        goes = _goes(called, leaves, tensors, there)
        given = tree_map(_apart, args) if called in _SET_APART and there else args
        done = func(*tree_map(_here, given), **tree_map(_here, kwargs))
        source = tensors[1] if called is _aten.copy_ else tensors[0] if called in _COPIES else None
        if source is not None and isinstance(source, _There) != goes:
            self.moved.append(Moved(goes, source.numel()))
        if called in _ASKS and there:
            self.moved.append(Moved(False, 1))
        written = _written(func._schema, args, kwargs)
        return written if written is not None else tree_map(_to_there, done) if goes else done


def _apart(value: Any) -> Any:
    return _There(value.near.contiguous()) if isinstance(value, _There) else value


def _goes(called: Any, leaves: list[Any], tensors: list[Tensor], there: list[Tensor]) -> bool:
    """Whether what a call gives is on the device that is not there."""
    asked = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    if called is _aten.copy_:
        return isinstance(tensors[0], _There)
    if asked is not None:
        return asked.type == DEVICE.type
    if called is _aten.to and len(tensors) == 2:  # one.to(other)
        return isinstance(tensors[1], _There)
    return bool(there)


def _here(value: Any) -> Any:
    if isinstance(value, torch.device):
        return HERE
    return value.near if isinstance(value, _There) else value


def _to_there(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    if value.dtype == torch.float64:
        raise TypeError(f"{DEVICE} knows no numbers of 64 bits: {tuple(value.shape)}")
    return _There(value)


def _written(schema: Any, args: Any, kwargs: Any) -> Any:
    """What a call wrote to and gives back: the very tensors that it was given; None when it made new ones."""
    if not schema.is_mutable or not schema.returns or schema.returns[0].alias_info is None:
        return None
    targets = [
        kwargs[argument.name] if argument.name in kwargs else args[place]
        for place, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return targets[0] if len(schema.returns) == 1 else tuple(targets)
