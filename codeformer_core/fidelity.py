"""The fidelity weight w: one per face, maps from a mask, and one face restored with several values."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from .align import warp_to_crops
from .faces import AlignedFaces
from .imaging.colour import keep_grey
from .imaging.resize import resize
from .restoration import check_fidelity
from .runtime.finite import check_finite


def fidelity_per_face(values: Sequence[float | None], otherwise: float, faces: int) -> float | Tensor:
    """One fidelity per face (N,), or a single number for all.

    Args:
        values: in the order of the faces; a single one serves all. None, or no values, means `otherwise`.
        faces: N.

    Raises:
        ValueError: another number of values than faces, or one outside 0 to 1.
    """
    weights = [otherwise if value is None else value for value in values]
    check_fidelity(*weights)
    if len(weights) < 2 or not faces:
        return weights[0] if weights else otherwise
    if len(weights) != faces:
        raise ValueError(
            f"Found {len(weights)} fidelities for {faces} {'face' if faces == 1 else 'faces'}. Expected one for each face, in "
            "the order of the faces, or a single one for all."
        )
    return torch.tensor(weights, dtype=torch.float32)


def fidelity_maps(aligned: AlignedFaces, fidelity: float | Tensor, mask: Tensor, inside: float) -> Tensor:
    """Fidelity maps over the faces (N, 1, S, S): `inside` where a mask over the images is 1, `fidelity` where it is 0.

    Args:
        fidelity: a number, or one per face (N,).
        mask: (1 or B, 1, h, w) in [0, 1], stretched over the images.
    """
    weight = warp_to_crops(mask.to(aligned.originals), aligned)
    outside = torch.as_tensor(fidelity, dtype=weight.dtype, device=weight.device).reshape(-1, 1, 1, 1)
    return torch.lerp(outside.expand_as(weight), torch.full_like(weight, inside), weight)


class Sweeper(Protocol):
    """A restoration network that takes several fidelities in one call."""

    side: int

    def sweep(self, crops: Tensor, fidelities: Sequence[float], match_style: bool) -> Tensor:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] and W fidelities -> restored (N, W, 3, S, S) in [0, 1]."""
        ...


def sweep(
    aligned: AlignedFaces,
    restorer: Sweeper,
    number: int,
    fidelities: Sequence[float],
    *,
    match_style: bool = True,
    grey: str = "auto",
) -> Tensor:
    """One face restored with each of W fidelities: (W, 3, S, S), as `restoration.restore` gives it.

    Args:
        number: which face, from 1.
        match_style, grey: see `restoration.restore`.
    """
    if not 1 <= number <= len(aligned):
        raise ValueError(f"Found face number {number} of {len(aligned)} faces. Expected 1 to {len(aligned)}.")
    if not fidelities:
        raise ValueError("Found no fidelity to try. Expected numbers from 0 to 1 such as 0, 0.5, 1.")
    check_fidelity(*fidelities)
    face = aligned.subset([number - 1])
    crops = restorer.sweep(resize(face.crops, restorer.side), fidelities, match_style)[0]
    check_finite(crops, restorer, face.crops, "face")
    repeated = resize(face.originals, restorer.side).expand_as(crops)
    return keep_grey(crops, repeated, face.grey * len(fidelities), grey)
