"""Uncertainty maps: how unsure the network is of its code predictions, over the crops and over the images."""

from typing import Protocol

from torch import Tensor

from .faces import AlignedFaces
from .imaging.resize import resize
from .paste import paste
from .restoration import in_batches
from .runtime.progress import Tick, no_tick


class ConfidenceModel(Protocol):
    """A network that reports its confidence."""

    side: int

    def certainty(self, crops: Tensor) -> Tensor:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> (N, 1, s, s) in [0, 1]: the confidence of each code's cell."""
        ...


def uncertainty_maps(aligned: AlignedFaces, restorer: ConfidenceModel, batch: int = 1, tick: Tick = no_tick) -> Tensor:
    """Uncertainty of the faces as they were before restoration: (N, 1, s, s), 0 certain, 1 a guess.

    Args:
        batch, tick: see `restoration.restore`.
    """
    if not len(aligned):
        return aligned.masks

    def uncertainty(part: slice) -> Tensor:
        crops = resize(aligned.originals[part], restorer.side)
        return 1 - restorer.certainty(crops).to(crops)

    return in_batches(uncertainty, aligned, restorer, batch, tick)


def paste_maps(maps: Tensor, aligned: AlignedFaces, size: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Maps over the crops (N, 1, s, s) pasted into empty images, and the paste mask: both (B, 1, H, W).

    Args:
        size: (B, H, W) of the images, which may be enlarged.
    """
    empty = maps.new_zeros(size[0], 3, *size[1:])
    pasted, mask = paste(empty, aligned.with_crops(resize(maps, aligned.side).repeat(1, 3, 1, 1)))
    return pasted[:, :1], mask
