"""Rectangles of images, and which of them a GPU works on together: a batch costs as many kernel launches as a single one."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: So many samples at once on a GPU: with their coordinates 140 MB. A face six times larger than its crop has nine million.
MOST_SAMPLES = 1 << 22

#: How many times the pixels of the regions of a batch may grow, since all have the size of the largest.
MOST_PADDING = 2


class Region(NamedTuple):
    """A rectangle of an image of a batch, in pixels, ends exclusive."""

    image: int
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def empty(self) -> bool:
        """Whether it has no pixels."""
        return self.x0 >= self.x1 or self.y0 >= self.y1

    def of(self, images: Tensor) -> Tensor:
        """Its view (C, h, w) of images (1 or B, C, H, W); a single one serves every image."""
        return images[self.image if len(images) > 1 else 0, :, self.y0 : self.y1, self.x0 : self.x1]

    def overlaps(self, other: "Region") -> bool:
        """Whether they have pixels in common."""
        apart = self.x1 <= other.x0 or other.x1 <= self.x0 or self.y1 <= other.y0 or other.y1 <= self.y0
        return self.image == other.image and not apart


def of_one_size(regions: Sequence[Region], size: tuple[int, int]) -> list[Region]:
    """Regions grown to the height and width of the largest, inside images of `size` (H, W); sides at a border stay there."""
    height, width = (max(sides) for sides in zip(*((region.height, region.width) for region in regions), strict=True))
    starts = [(one.image, min(one.x0, size[1] - width), min(one.y0, size[0] - height)) for one in regions]
    return [Region(image, x, y, x + width, y + height) for image, x, y in starts]


class Kind(NamedTuple):
    """What regions must have in common to be worked on together.

    Attributes:
        samples: for each pixel of the region.
        further: samples for each region besides, whatever its size.
        of: what else is to be the same.
    """

    samples: int
    further: int
    of: Hashable


def group(regions: Sequence[Region], kinds: Sequence[Kind], together: bool) -> list[list[int]]:
    """The indices of the regions that are not empty, those that are worked on together in one list.

    One after the other, the lists keep the order of regions that overlap, so that of two faces the later covers the earlier.

    Args:
        together: False leaves each alone, as suits a CPU.
    """
    groups: list[list[int]] = []
    for index, region in enumerate(regions):
        if region.empty:
            continue
        joined = None
        for members in reversed(groups if together else []):
            if kinds[members[0]] == kinds[index] and _fit([regions[one] for one in (*members, index)], kinds[index]):
                joined = members
                break
            if any(region.overlaps(regions[one]) for one in members):
                break
        if joined is None:
            groups.append(joined := [])
        joined.append(index)
    return groups


def _fit(regions: list[Region], kind: Kind) -> bool:
    """Whether regions of a kind, grown to one size, are few enough samples, and not many more than by themselves."""
    pixels = len(regions) * max(one.height for one in regions) * max(one.width for one in regions)
    samples = max(pixels * kind.samples, len(regions) * kind.further)
    return samples <= MOST_SAMPLES and pixels <= MOST_PADDING * sum(one.height * one.width for one in regions)


def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """`torch.stack`, a view where there is one tensor."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(list(tensors))
