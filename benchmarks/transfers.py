"""Counts copies between host and device and reads of single values, which make the host wait, and the kernels it launches."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_aten = torch.ops.aten

COPIES = (_aten._to_copy, _aten.copy_, _aten.to)

#: Operations whose result the host reads, which synchronises.
READS = (_aten._local_scalar_dense, _aten.item, _aten.is_nonzero, _aten.equal, _aten.allclose, _aten.nonzero)


class Copy(NamedTuple):
    """A copy between host and device.

    Attributes:
        to_device: or from it.
        bytes: of the values.
        waits: whether it makes the host wait; not so to the device from pinned memory, where it is asked for.
    """

    to_device: bool
    bytes: int
    waits: bool = True


class Transfers(TorchDispatchMode):
    """While this mode is active, copies between the host and any device are counted.

    Attributes:
        copies: the copies so far.
        kernels: operations on tensors of a device so far, without views.
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[Copy] = []
        self.kernels = 0

    def call(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation; a simulated device overrides it."""
        return func(*args, **kwargs)

    def pinned(self, tensor: Tensor) -> bool:
        """Whether a tensor of the host is in pinned memory; a simulated device overrides it."""
        return tensor.is_pinned()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = self.call(func, args, kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        called, on_device = func.overloadpacket, [_on_device(tensor) for tensor in tensors]
        self.kernels += any(on_device) and not func.is_view
        if called is _aten.index and on_device[0]:  # indices on the host are copied, masks are counted
            self.copies += [Copy(True, index.nbytes) for index in tensors[1:] if not _on_device(index)]
            self.copies += [Copy(False, 1) for index in tensors[1:] if _on_device(index) and index.dtype == torch.bool]
        if called in COPIES and tensors:
            source = tensors[1] if called is _aten.copy_ else tensors[0]
            if _on_device(source) != _on_device(result) and source.numel():
                waits = _on_device(source) or not (self.pinned(source) and _asynchronous(called, args, kwargs))
                self.copies.append(Copy(_on_device(result), source.nbytes, waits))
        elif called in READS and any(on_device):
            self.copies.append(Copy(False, 1))
        return result


def _asynchronous(called: Any, args: Any, kwargs: Any) -> bool:
    """Whether a copy is asked for with `non_blocking`."""
    return bool(kwargs.get("non_blocking", called is _aten.copy_ and len(args) > 2 and args[2]))


def _on_device(tensor: Tensor) -> bool:
    return tensor.device.type not in ("cpu", "meta")
