"""What restorers without fidelity weight and codes share: they restore, and say what they cannot do where it is asked for."""

from abc import ABC, abstractmethod
from typing import NoReturn

import torch
from torch import Tensor, nn

from .codeformer import FILES, check_side
from .encoded import EncodedFaces

#: Task -> what a restorer without codes lacks for it.
LACKING = {"colorization": "training for colours", "inpainting": "training for holes"}


class CodelessRestorer(nn.Module, ABC):
    """A restorer without fidelity weight and codes.

    Attributes:
        role, task: what it is for: "restorer", "restoration".
        side: S, the side of the crops in pixels.
        kind: what it is, in words.
        file: what messages call it.
    """

    role, task = "restorer", "restoration"
    side: int

    def __init__(self, kind: str, file: str) -> None:
        super().__init__()
        self.kind, self.file = kind, file

    @property
    def notice(self) -> str:
        """What a user should know who expects a CodeFormer."""
        return (
            f"{self.file} is a {self.kind}: it has no fidelity weight, so that a fidelity changes nothing, and no codes that "
            "could be averaged over the frames of a video; tracking and the smoothing of poses work."
        )

    @abstractmethod
    def restored(self, crops: Tensor) -> Tensor:
        """Degraded crops (N, 3, S, S) RGB in [-1, 1] -> restored crops (N, 3, S, S) in about [-1, 1]."""

    @torch.no_grad()
    def restore(self, crops: Tensor, fidelity: float | Tensor = 0.5, match_style: bool = True) -> Tensor:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> restored crops (N, 3, S, S) in [0, 1].

        Raises:
            ValueError: several fidelities or a map of them, or crops of another side.
        """
        if isinstance(fidelity, Tensor) and fidelity.numel() > 1:
            self._refuse("a fidelity weight, by face or by mask")
        check_side(crops, self.side)
        return ((self.restored(crops * 2 - 1) + 1) / 2).clamp_(0, 1)

    def encode_faces(self, crops: Tensor, fidelity: float | Tensor = 0.5) -> EncodedFaces:
        """The crops themselves, as what `decode_faces` restores: there are no codes between."""
        return EncodedFaces(crops.new_zeros(len(crops), 0, 0), crops, {})

    def decode_faces(self, encoded: EncodedFaces, fidelity: float | Tensor = 0.5, match_style: bool = True) -> Tensor:
        """Restored crops (N, 3, S, S) in [0, 1], see `restore`."""
        return self.restore(encoded.features, fidelity, match_style)

    def sweep(self, *_: object) -> NoReturn:
        """Refused."""
        self._refuse("a fidelity weight")

    def certainty(self, *_: object) -> NoReturn:
        """Refused."""
        self._refuse("codes to be certain of")

    def colorize(self, *_: object) -> NoReturn:
        """Refused."""
        self._refuse_task("colorization")

    def inpaint(self, *_: object) -> NoReturn:
        """Refused."""
        self._refuse_task("inpainting")

    def require_task(self, task: str) -> None:
        """A ValueError for another task than "restoration"."""
        if task != self.task:
            self._refuse_task(task)

    def compiled(self) -> NoReturn:
        """Refused."""
        raise AttributeError(f"{self.file} is a {self.kind}, which is not compiled")

    def _refuse_task(self, task: str) -> NoReturn:
        self._refuse(LACKING[task], FILES[task])

    def _refuse(self, lacking: str, instead: str = FILES["restoration"]) -> NoReturn:
        raise ValueError(f"{self.file} is a {self.kind} without {lacking}: choose {instead} for this.")
