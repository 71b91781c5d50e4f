"""How much of a face the network invented: its own doubt about what it drew, over the crop and over the picture."""

from typing import Protocol

from torch import Tensor

from .faces import AlignedFaces
from .imaging.resize import resize
from .paste import paste
from .restoration import in_batches
from .runtime.progress import Tick, no_tick


class ConfidenceModel(Protocol):
    """What knows how sure it is."""

    side: int

    def certainty(self, crops: Tensor) -> Tensor:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> (N, 1, s, s) in [0, 1]: how sure each cell of the face is."""
        ...


def uncertainty_maps(aligned: AlignedFaces, restorer: ConfidenceModel, batch: int = 1, tick: Tick = no_tick) -> Tensor:
    """How unsure the network is of each part of the faces: (N, 1, s, s), 0 sure, 1 a guess. It looks at the originals.

    Args:
        batch, tick: see `restoration.restore`.
    """
    if not len(aligned):
        return aligned.masks

    def doubt(part: slice) -> Tensor:
        crops = resize(aligned.originals[part], restorer.side)
        return 1 - restorer.certainty(crops).to(crops)

    return in_batches(doubt, aligned, batch, tick)


def paste_maps(maps: Tensor, aligned: AlignedFaces, size: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Maps over the crops (N, 1, s, s) as they lie over the pictures, and where faces are: both (B, 1, H, W), else 0.

    Args:
        size: (B, H, W) of the pictures, which may be enlarged.
    """
    empty = maps.new_zeros(size[0], 3, *size[1:])
    landed, covered = paste(empty, aligned.with_crops(resize(maps, aligned.side).repeat(1, 3, 1, 1)))
    return landed[:, :1], covered
