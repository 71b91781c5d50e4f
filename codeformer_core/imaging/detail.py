"""Keep detail: the fine detail of an image, for faces that a network draws with fewer pixels than they have there."""

import torch
from torch import Tensor

from .colour import clamp_to_gamut, luminance

#: The correction of luminance (of 1) at which a third (1/e) of the image's own detail is kept: ten levels of 255, above the
#: noise of good photographs.
CORRECTION_SCALE = 0.04


def with_detail(pasted: Tensor, regions: Tensor, originals: Tensor) -> Tensor:
    """Pasted crops with the fine detail of the image where the network corrected little.

    A crop of a large face has a lower resolution than the image, so a plain paste softens the face. The detail that the crop
    lost is the difference between the image and its own crop, warped back. It is added where the network's correction of the
    luminance is small and fades out (as a Gaussian) where it is large, so that damage is not brought back.

    Args:
        pasted, regions, originals: (N, 3, h, w): the warped crops, the images under them, and the warped crops before
            restoration.
    """
    correction = luminance(pasted - originals)
    return clamp_to_gamut(pasted + (regions - originals) * torch.exp(-((correction / CORRECTION_SCALE) ** 2)))
