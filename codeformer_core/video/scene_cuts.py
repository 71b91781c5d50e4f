"""Shot boundary detection by frame difference and correlation of thumbnails, so that no face is tracked across a cut."""

import torch.nn.functional as F
from torch import Tensor

from ..runtime.transfer import read_back

#: Side of the thumbnails that are compared: a hand-held camera moves the content of a cell by less than a cell.
SIDE = 32

#: Thresholds, chosen between the cuts of the test videos (differences of 0.10 to 0.28, correlations of at most 0.48) and their
#: wildest motion, a hand-held fire (0.13 in every frame, 0.79).
DIFFERENCE = 0.03  # mean absolute difference of the thumbnails, in [0, 1]; below, it is the same dark or flat image with noise

CORRELATION = 0.55  # normalised cross-correlation of brightness; above, something moved or a light was switched in one scene

SUDDENNESS = 2.0  # times the recent difference between frames; below, the camera has been swinging already


class SceneCutDetector:
    """Detects hard cuts in a stream of frames; only the previous thumbnail is held. Dissolves are no cuts."""

    def __init__(self) -> None:
        self._previous: Tensor | None = None
        self._recent = 0.0

    def push(self, images: Tensor) -> list[bool]:
        """Of each of the next frames, (B, 3, H, W) in [0, 1], whether a new shot begins with it; the first one is no cut."""
        step = max(1, min(images.shape[-2:]) // (8 * SIDE))  # 8 pixels across a cell are enough; all cost 70 ms at 4K
        (thumbnails,) = read_back(F.adaptive_avg_pool2d(images[:, :, ::step, ::step].float(), SIDE))
        return [self._is_cut(thumbnail) for thumbnail in thumbnails]

    def _is_cut(self, thumbnail: Tensor) -> bool:
        previous, self._previous = self._previous, thumbnail
        if previous is None:
            return False
        difference = float((thumbnail - previous).abs().mean())
        centred = [(brightness - brightness.mean()).flatten() for brightness in (thumbnail.mean(0), previous.mean(0))]
        correlation = float(F.cosine_similarity(*centred, dim=0, eps=1e-3))  # 0 when one of them is flat
        cut = difference > max(DIFFERENCE, SUDDENNESS * self._recent) and correlation < CORRELATION
        # Halved, not forgotten: after 3:2 pulldown (film on television) every fifth frame repeats the one before.
        self._recent = 0.0 if cut else max(difference, self._recent / 2)
        return cut
