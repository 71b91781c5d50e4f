"""Occlusion: faces are pasted only where a network sees the face itself, not a hand or a microphone in front of it."""

from typing import Protocol

import torch
from torch import Tensor

from ..faces import AlignedFaces
from ..imaging.resize import resize


class Occluder(Protocol):
    """A network that tells a face from what is in front of it; `side` is the side of its crops in pixels."""

    side: int

    def visible(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) RGB in [0, 1] -> (N, 1, s, s) in [0, 1]: 1 where the face is seen, 0 elsewhere."""
        ...


def exclude_occluded(aligned: AlignedFaces, occluder: Occluder) -> AlignedFaces:
    """Faces that are not pasted over what is in front of them, on top of what limited them before.

    `originals` are looked at, not `crops`: a restorer may have drawn a face over the hand.
    """
    if not len(aligned):
        return aligned
    seen = [occluder.visible(resize(face, occluder.side)) for face in aligned.originals.split(1)]
    return aligned.with_masks(aligned.masks * resize(torch.cat(seen).to(aligned.masks), aligned.side))
