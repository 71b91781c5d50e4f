"""Where a face is in one frame, judged from the finds in the frames around it.

A detector trembles by about one percent of the face from frame to frame. The pose of the crop trembles more: its robust fit
now trusts one landmark and now another. So the pose is smoothed beside the landmarks, and the landmarks are given such that
`align.fit_similarity` finds just that pose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from ..align import TEMPLATE_SIDE, template
from ..faces import Face
from ..imaging.affine import fit_similarity, invert

Array = NDArray[np.float64]

#: The middle of the crop, whose place in the image says where a face is: that tells turning and moving apart.
CENTRE = np.full(2, (TEMPLATE_SIDE - 1) / 2)

#: How many of a find's numbers are landmarks, which come first, and how many the pose, which comes last.
LANDMARKS, POSE = 10, 4


@dataclass(frozen=True)
class Detection:
    """A face as the detector saw it."""

    face: Face

    @cached_property
    def numbers(self) -> Array:
        """(18,): the landmarks and the box in image pixels, then the pose of the crop; errors as in `align.fit_similarity`.

        The pose is one pixel to the right in the crop as image pixels (x, y), and where the middle of the crop is in the image.
        """
        to_image = invert(_fit(np.array(self.face.landmarks)))[0].numpy()
        pose = np.concatenate([to_image[:, 0], to_image[:, :2] @ CENTRE + to_image[:, 2]])
        return np.concatenate([np.ravel(self.face.landmarks), self.face.box, pose])


def smooth_detections(finds: Mapping[int, Detection], frame: int, window: int) -> Face:
    """The face of one frame: a parabola through the finds around it, the nearer the heavier, wrong ones left out.

    A mean would cut the corners of fast motion; a parabola follows it, and the window looks equally far ahead and back, so that
    nothing lags. Where few finds are in reach, it is a line or a mean.

    Args:
        finds: frame number -> what was found there, at least one within the window.
        frame: a frame between the first find and the last. Without a find of its own it is filled.
        window: frames to each side that count.

    Returns:
        The face with other landmarks and another box; a filled one has the lower score of the two around it.
    """
    near = {number - frame: one for number, one in finds.items() if abs(number - frame) <= window}
    away = np.array(sorted(near), dtype=np.float64)
    numbers = _at_zero(away, np.stack([near[number].numbers for number in sorted(near)]), window)
    own = near.get(0)
    if own is None:
        before, behind = (near[number].face for number in (max(n for n in near if n < 0), min(n for n in near if n > 0)))
        face = before._replace(score=min(before.score, behind.score))
    else:
        face = own.face
    landmarks = _posed(numbers[:LANDMARKS].reshape(5, 2), numbers[-POSE:])
    x0, y0, x1, y1 = numbers[LANDMARKS:-POSE].tolist()
    return face._replace(box=(x0, y0, x1, y1), landmarks=tuple((x, y) for x, y in landmarks.tolist()))


def _at_zero(away: Array, values: Array, window: int) -> Array:
    """What a robust local fit of values (n, m) at the places `away` (n,) gives at 0: (m,).

    LOWESS (Cleveland 1979, "Robust locally weighted regression"): tricube weights, and twice again without what lies off the
    fit, beyond six times the median distance, so that one wrong find leaves no trace.
    """
    near = (1 - (np.abs(away) / (window + 1)) ** 3) ** 3
    powers = np.vander(away, 3 if len(away) >= 5 else min(2, len(away)), increasing=True)
    trusted = np.ones_like(near)
    for last in (False, False, True):
        root = np.sqrt(near * trusted)[:, None]
        fit = np.linalg.lstsq(powers * root, values * root, rcond=None)[0]
        if last or len(away) <= 5:  # a parabola through five finds tells nothing about any of them
            break
        off = np.linalg.norm((values - powers @ fit)[:, :LANDMARKS], axis=1)
        trusted = np.clip(1 - (off / (6 * np.median(off) + 1e-9)) ** 2, 1e-3, 1) ** 2
    return fit[0]


def _fit(landmarks: Array) -> torch.Tensor:
    """(1, 2, 3): the pose of landmarks (5, 2), image pixels -> pixels of a crop of 512."""
    return fit_similarity(torch.from_numpy(landmarks)[None], template(TEMPLATE_SIDE))


def _posed(landmarks: Array, pose: Array) -> Array:
    """Landmarks (5, 2), moved together such that their fit is `pose` (4,)."""
    own = _fit(landmarks)[0].numpy()
    right, down = pose[:2], np.array([-pose[1], pose[0]])
    linear = np.stack([right, down], axis=1)  # crop -> image
    in_crop = landmarks @ own[:, :2].T + own[:, 2]
    return (in_crop - CENTRE) @ linear.T + pose[2:]
