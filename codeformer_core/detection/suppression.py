"""Non-maximum suppression by the share of the smaller box that is covered."""

from collections.abc import Sequence

import torch

from ..faces import Face

#: Two boxes are one face when their intersection is more than this share of the smaller one. For neighbouring faces of the test
#: data it is at most 0.07; for a mouth detected as a second face (omi_10_lq512.png) it is 0.92.
COVERED = 0.5


def remove_duplicates(faces: Sequence[Face], merits: Sequence[float] | None = None) -> list[Face]:
    """The faces without those that `suppress` finds to duplicate a better one; the order stays.

    Args:
        merits: ranking, higher is better; the scores when none are given.
    """
    return [face for face, better in zip(faces, suppress(faces, merits), strict=True) if better is None]


def suppress(faces: Sequence[Face], merits: Sequence[float] | None = None) -> list[int | None]:
    """Non-maximum suppression: for each face the index of the better face in its image that it duplicates, or None."""
    merits = [face.score for face in faces] if merits is None else merits
    result: list[int | None] = [None] * len(faces)
    boxes = torch.tensor([face.box for face in faces], dtype=torch.float64).reshape(-1, 4)
    image = torch.tensor([face.image_index for face in faces])
    low, high = boxes[:, :2], boxes[:, 2:]
    area = (high - low).clamp(min=0).prod(1)
    left = torch.ones(len(faces), dtype=torch.bool)
    for index in sorted(range(len(faces)), key=lambda i: -merits[i]):
        if not left[index]:
            continue
        left[index] = False
        shared = (torch.minimum(high, high[index]) - torch.maximum(low, low[index])).clamp(min=0).prod(1)
        same = left & (image == image[index]) & (shared > COVERED * torch.minimum(area, area[index]))
        left &= ~same
        for other in same.nonzero().flatten().tolist():
            result[other] = index
    return result
