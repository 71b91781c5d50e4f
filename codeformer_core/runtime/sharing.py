"""A network that several threads use: one call at a time, and the faces of several images in one call."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from .batching import automatic_batch


class _Call:
    """A call of a restorer that waits for its turn; `restored` is set when it is done."""

    def __init__(self, crops: Tensor, fidelity: float | Tensor, match_style: bool) -> None:
        self.crops, self.fidelity, self.match_style = crops, fidelity, match_style
        self.restored: Tensor | None = None

    def rows(self) -> Tensor:
        """The fidelity of each face: numbers (N,) or maps (N, 1, h, w)."""
        given = torch.as_tensor(self.fidelity, dtype=torch.float32, device=self.crops.device)
        given = given[None] if given.ndim == 0 else given
        return given.expand(len(self.crops), *given.shape[1:])

    def joins(self, other: "_Call") -> bool:
        """Whether both can be one call."""
        shapes = [(call.match_style, call.crops.shape[1:], call.crops.dtype, call.rows().shape[1:]) for call in (self, other)]
        return shapes[0] == shapes[1]


class SharedNetwork:
    """A proxy of a network for threads; what it does not have itself is the network's.

    While one call is worked on, others wait. Whoever is next takes the faces of those who wait along, up to a full batch (group
    commit, dynamic batching), so that images with one face each fill the batches of a GPU. With a batch of 1, as on a CPU,
    every call is made as it came, and no result depends on what else is worked on.

    Args:
        network: is called by one thread at a time.
        turn: the lock, which the networks of a job share.
        batch: faces in one call; 0: see `automatic_batch`.
    """

    def __init__(self, network: Any, turn: Lock, batch: int = 0) -> None:
        self.network, self._turn, self._batch = network, turn, batch
        self._waiting: list[_Call] = []

    @property
    def batch(self) -> int:
        """Faces in one call."""
        return self._batch or automatic_batch(self.network)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.network, name)
        return self._in_turn(found) if callable(found) else found

    def __call__(self, *args: Any) -> Any:
        return self._in_turn(self.network)(*args)

    def _in_turn(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            with self._turn:
                return call(*args, **options)

        return called

    def restore(self, crops: Tensor, fidelity: float | Tensor, match_style: bool) -> Tensor:
        """See `restoration.Restorer`."""
        mine = _Call(crops, fidelity, match_style)
        self._waiting.append(mine)
        with self._turn:
            if mine.restored is None:
                self._waiting.remove(mine)
                self._work_on(mine, self._companions(mine))
            restored, mine.restored = mine.restored, None
        assert restored is not None
        return restored

    def _companions(self, mine: _Call) -> list[_Call]:
        free, found = self.batch - len(mine.crops), []  # faces that still go into the batch
        for other in list(self._waiting) if free > 0 else ():
            if len(other.crops) <= free and other.joins(mine):
                found.append(other)
                free -= len(other.crops)
        return found

    def _work_on(self, mine: _Call, others: list[_Call]) -> None:
        together = [mine, *others]
        try:
            crops, fidelity = mine.crops, mine.fidelity
            if others:
                crops, fidelity = (torch.cat([call.crops for call in together]), torch.cat([call.rows() for call in together]))
            restored = self.network.restore(crops, fidelity, mine.match_style)
        except (RuntimeError, ValueError, MemoryError):
            if not others:
                raise
            return self._work_on(mine, [])  # the others wait for their own turn, and each fails for itself
        if restored.is_cuda and self.batch > 1:
            torch.cuda.current_stream(restored.device).synchronize()  # else nobody would have to wait, and fill a batch
        for call, part in zip(together, restored.split([len(call.crops) for call in together]), strict=True):
            call.restored = part
        for call in others:
            self._waiting.remove(call)
