"""The least time that a device needs for a network: its arithmetic and its traffic at the rates that the device reaches."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .clock import timed


class Rates:
    """What a device reaches, measured at first use."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._known = device, dict[Any, float]()

    def operations(self, dtype: torch.dtype) -> float:
        """Floating-point operations per second of a large matrix product, as torch's settings (TF32) have it."""
        if dtype not in self._known:
            side = 8192 if self._device.type == "cuda" else 1024
            a = torch.ones(side, side, device=self._device, dtype=dtype)
            self._known[dtype] = 2 * side**3 / self._best(lambda: a @ a)
        return self._known[dtype]

    def bandwidth(self) -> float:
        """Bytes per second, read and written, of a copy that no cache holds."""
        if "bandwidth" not in self._known:
            source = torch.ones(2**28, device=self._device, dtype=torch.uint8)
            target = torch.empty_like(source)
            self._known["bandwidth"] = 2 * source.nbytes / self._best(lambda: target.copy_(source))
        return self._known["bandwidth"]

    def _best(self, call: Callable[[], object]) -> float:
        call()
        return min(timed(call, self._device) for _ in range(5))


class Roofline(TorchDispatchMode):
    """Adds up what the operations under it need at least (Williams et al., CACM 2009).

    Attributes:
        operations: floating-point operations of matrix products and convolutions.
        bytes: that all operations read and write, each for itself: fused ones need fewer.
        seconds: for each operation the longer of its arithmetic and its traffic.
    """

    def __init__(self, rates: Rates) -> None:
        super().__init__()
        self._rates = rates
        self.operations, self.bytes, self.seconds = 0, 0, 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket not in flop_registry:
            with self:  # conv2d or linear, which inference mode leaves whole
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        results = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if not results or func.is_view:
            return result
        moved = sum(tensor.nbytes for tensor in (*inputs, *results))
        count = flop_registry.get(func.overloadpacket)
        operations = count(*args, **kwargs, out_val=result) if count else 0
        arithmetic = operations / self._rates.operations(inputs[0].dtype) if operations else 0.0
        self.operations += operations
        self.bytes += moved
        self.seconds += max(arithmetic, moved / self._rates.bandwidth())
        return result
