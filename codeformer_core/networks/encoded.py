"""Encoded faces: the state between encoder and generator, where video averages the code logits over frames."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class EncodedFaces(NamedTuple):
    """The outputs of encoder and transformer for N faces, on the network's device.

    At 512 pixels a face takes about 46 MB in float32, nearly all of it in `kept`; the logits are 1 MB.

    Attributes:
        logits: (N, s * s, K) of the codes of the clean face, K being the size of the codebook.
        features: (N, C, s, s), the encoder's output.
        kept: side -> (N, C', side, side), the encoder's maps that the fusion uses; empty at a fidelity of 0.
    """

    logits: Tensor
    features: Tensor
    kept: dict[int, Tensor]

    @property
    def faces(self) -> int:
        """N."""
        return self.logits.shape[0]

    @property
    def map_bytes(self) -> int:
        """Bytes of `features` and `kept`, which averaging does not need."""
        return sum(one.numel() * one.element_size() for one in (self.features, *self.kept.values()))

    def without_maps(self) -> "EncodedFaces":
        """The logits alone; `decode_faces` needs the maps of the same crops again."""
        return EncodedFaces(self.logits, self.features.new_empty(self.faces, 0), {})

    def rows(self, which: slice | Sequence[int]) -> "EncodedFaces":
        """These faces alone, in this order. A slice is a view, which keeps the memory of all faces alive; a list is a copy."""

        def chosen(values: Tensor) -> Tensor:  # without a tensor of indices, which would be copied to a GPU
            return values[which] if isinstance(which, slice) else torch.cat([values[row : row + 1] for row in which])

        return EncodedFaces(chosen(self.logits), chosen(self.features), {side: chosen(one) for side, one in self.kept.items()})


def join_encoded(parts: Sequence[EncodedFaces]) -> EncodedFaces:
    """The faces of one or more parts, each with the same sides kept, in this order; a single part comes back as it is."""
    if len(parts) == 1:
        return parts[0]
    return EncodedFaces(
        torch.cat([part.logits for part in parts]),
        torch.cat([part.features for part in parts]),
        {side: torch.cat([part.kept[side] for part in parts]) for side in parts[0].kept},
    )
