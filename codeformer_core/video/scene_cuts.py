"""Where a new shot begins in a sequence of frames, so that no face is followed across a cut."""

import torch.nn.functional as F
from torch import Tensor

#: Frames are compared as copies of this side: a hand-held camera moves what is in one cell by less than a cell.
SIDE = 32

#: What makes a cut, chosen between the cuts of the test videos (differences of 0.10 to 0.28, correlations of at most 0.48) and
#: their wildest motion, a hand-held fire (0.13 in every frame, 0.79).
DIFFERENCE = 0.03  # mean difference of the small copies, in [0, 1]; below, it is the same dark or flat picture with noise

CORRELATION = 0.55  # of their brightness; above, something moved, or a light was switched, in the same scene

SUDDENNESS = 2.0  # times what differed between the frames before; below, the camera has been swinging already


class SceneCutDetector:
    """Tells cuts while frames go by; it holds one small copy, of the last frame. Dissolves are no cuts."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._usual = 0.0

    def push(self, image: Tensor) -> bool:
        """Whether a new shot begins with this frame, (1, 3, H, W) in [0, 1]; the first frame is no cut."""
        step = max(1, min(image.shape[-2:]) // (8 * SIDE))  # 8 pixels across a cell are enough; all of them cost 70 ms at 4K
        small = F.adaptive_avg_pool2d(image[0, :, ::step, ::step].float(), SIDE).cpu()
        last, self._last = self._last, small
        if last is None:
            return False
        difference = float((small - last).abs().mean())
        sudden = difference > max(DIFFERENCE, SUDDENNESS * self._usual)
        cut = sudden and _correlation(small.mean(0), last.mean(0)) < CORRELATION
        # Halved, not forgotten: in film shown as television every fifth frame repeats the one before.
        self._usual = 0.0 if cut else max(difference, self._usual / 2)
        return cut


def _correlation(one: Tensor, other: Tensor) -> float:
    """How alike two pictures of brightness (h, w) are, -1 to 1, whatever their contrast; 0 when one of them is flat."""
    one, other = one - one.mean(), other - other.mean()
    spread = (one.square().sum() * other.square().sum()).sqrt()
    return float((one * other).sum() / spread) if spread > 1e-6 else 0.0
