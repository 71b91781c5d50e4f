"""A simulated CUDA device for machines without a GPU: forbids mixed-device operations, counts host-device copies.

Its tensors report the device cuda:0 and keep their values in CPU memory. As on a real GPU they cannot be mixed with CPU tensors
or passed to NumPy or OpenCV, and, as on MPS, there is no float64. Every copy between host and device is counted, since each one
synchronises.
"""

import os
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from benchmarks.transfers import COPIES, Transfers

DEVICE, HOST = torch.device("cuda:0"), torch.device("cpu")

#: Bytes that the device says are free.
MEMORY = 8 * 2**30

_aten = torch.ops.aten

#: Operations that accept no CPU tensors at all; others accept 0-dimensional ones.
_STRICT = (_aten.cat, _aten.stack)

#: Operations that the CPU computes less accurately on channels_last input; CUDA makes such input contiguous first.
_CONTIGUOUS = (_aten.native_group_norm, _aten.group_norm)


class _CudaTensor(Tensor):
    """A tensor on the simulated device; `host` holds its values."""

    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> "_CudaTensor":
        with torch.inference_mode(False):  # views of a wrapper subclass cannot be created in inference mode
            return torch.Tensor._make_wrapper_subclass(
                cls, host.shape, host.stride(), host.storage_offset(), dtype=host.dtype, device=DEVICE
            )

    def __init__(self, host: Tensor) -> None:
        self.host = host

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.tolist:  # which PyTorch refuses for tensor subclasses
            return args[0].cpu().tolist()
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of `FakeCuda`")


class FakeCuda(Transfers):
    """While this mode is active, `DEVICE` can be used like any other device.

    Attributes:
        pins: whether memory can be pinned.
    """

    pins = True

    def __enter__(self) -> "FakeCuda":
        self._pinned: list[Tensor] = []
        self._before = torch._C._only_lift_cpu_tensors(), torch.cuda._lazy_init, torch.cuda.mem_get_info
        self._cudnn = torch.backends.cudnn.enabled
        torch.backends.cudnn.enabled = False  # its operations have no CPU kernel
        self._swaps = torch.__future__.get_swap_module_params_on_conversion()
        torch._C._ensureCUDADeviceGuardSet()
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=DEVICE) makes a CPU tensor and copies it
        torch.cuda._lazy_init = lambda: None  # type: ignore[method-assign]
        torch.cuda.mem_get_info = lambda device=None: (MEMORY, MEMORY)
        torch.__future__.set_swap_module_params_on_conversion(True)  # networks that are moved get new parameters
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.backends.cudnn.enabled = self._cudnn
        torch._C._set_only_lift_cpu_tensors(self._before[0])
        torch.cuda._lazy_init, torch.cuda.mem_get_info = self._before[1:]  # type: ignore[method-assign]
        torch.__future__.set_swap_module_params_on_conversion(self._swaps)

    def call(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation on the values, and see that no device is mixed with another."""
        leaves = tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        on_device = [tensor for tensor in tensors if isinstance(tensor, _CudaTensor)]
        on_host = [tensor for tensor in tensors if not isinstance(tensor, _CudaTensor)]
        called = func.overloadpacket
        if called is _aten.empty and kwargs.get("pin_memory"):
            if not self.pins:
                raise RuntimeError("CUDA error: out of memory")
            self._pinned.append(func(*args, **kwargs | {"pin_memory": False}))
            return self._pinned[-1]
        indexed = called is _aten.index and on_device and on_host and on_host[0] is not tensors[0]  # by indices on the CPU
        foreign = [one for one in on_host if one.ndim or called in _STRICT]
        if on_device and foreign and not indexed and called not in COPIES:
            raise RuntimeError(f"{func}: a tensor of shape {tuple(foreign[0].shape)} is on the CPU, others on {DEVICE}")
        to_device = _returns_on_device(called, leaves, tensors, on_device)
        inputs = tree_map(_contiguous, args) if called in _CONTIGUOUS and on_device else args
        result = func(*tree_map(_to_host, inputs), **tree_map(_to_host, kwargs))
        written = _written(func._schema, args, kwargs)
        return written if written is not None else tree_map(_to_device, result) if to_device else result

    def pinned(self, tensor: Tensor) -> bool:
        """Whether a tensor lies in memory that was pinned."""
        start = tensor.untyped_storage().data_ptr()
        return any(one.untyped_storage().data_ptr() == start for one in self._pinned)


def _contiguous(value: Any) -> Any:
    return _CudaTensor(value.host.contiguous()) if isinstance(value, _CudaTensor) else value


def _returns_on_device(called: Any, leaves: list[Any], tensors: list[Tensor], on_device: list[Tensor]) -> bool:
    """Whether the result of an operation is on the simulated device."""
    device = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    if called is _aten.copy_:
        return isinstance(tensors[0], _CudaTensor)
    if device is not None:
        return device.type == DEVICE.type
    if called is _aten.to and len(tensors) == 2:  # one.to(other)
        return isinstance(tensors[1], _CudaTensor)
    return bool(on_device)


def _to_host(value: Any) -> Any:
    if isinstance(value, torch.device):
        return HOST
    return value.host if isinstance(value, _CudaTensor) else value


def _to_device(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    if value.dtype == torch.float64:
        raise TypeError(f"{DEVICE} has no float64: {tuple(value.shape)}")
    return _CudaTensor(value)


def _written(schema: Any, args: Any, kwargs: Any) -> Any:
    """The arguments that an in-place operation wrote to and returns; None for operations that return new tensors."""
    if not schema.is_mutable or not schema.returns or schema.returns[0].alias_info is None:
        return None
    targets = [
        kwargs[argument.name] if argument.name in kwargs else args[place]
        for place, argument in enumerate(schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return targets[0] if len(schema.returns) == 1 else tuple(targets)


class RealCuda(Transfers):
    """The real device in the place of the simulated one, computing in full float32."""

    def __enter__(self) -> "RealCuda":
        self._before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.backends.cudnn.allow_tf32 = self._before


#: What the tests of devices run on: `python -m benchmarks gpu` sets the variable.
Cuda = RealCuda if os.environ.get("CODEFORMER_TEST_DEVICE") == "cuda" else FakeCuda
