"""Temporal smoothing of a face's landmarks, box and pose: LOWESS, a robust local polynomial regression over time.

Detections jitter by about one percent of the face from frame to frame. The pose of the crop jitters more: its robust fit trusts
now one landmark, now another. So the pose is smoothed beside the landmarks, and the landmarks are returned such that
`affine.fit_similarity` of them is that pose.
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

#: The centre of the crop. Its position in the image is the translation of a pose: that separates rotation from motion.
CENTRE = np.full(2, (TEMPLATE_SIDE - 1) / 2)

#: How many of a detection's values are landmarks, which come first, and how many the pose, which comes last.
LANDMARKS, POSE = 10, 4


@dataclass(frozen=True)
class Detection:
    """A detected face, with the values that are smoothed."""

    face: Face

    @cached_property
    def values(self) -> Array:
        """(18,): the landmarks and the box in image pixels, then the pose of the crop; errors as in `affine.fit_similarity`.

        The pose is the image vector (x, y) of one crop pixel to the right, and the crop's centre in the image.
        """
        to_image = invert(_fit_pose(np.array(self.face.landmarks)))[0].numpy()
        pose = np.concatenate([to_image[:, 0], to_image[:, :2] @ CENTRE + to_image[:, 2]])
        return np.concatenate([np.ravel(self.face.landmarks), self.face.box, pose])


def smooth_detections(detections: Mapping[int, Detection], frame: int, window: int) -> Face:
    """The smoothed face of one frame: a parabola fitted to the detections around it, see `_lowess`.

    A moving average would cut the corners of fast motion; a parabola follows it, and the symmetric window adds no lag. With few
    detections in the window it is a line or a mean.

    Args:
        detections: frame number -> detection, at least one within the window.
        frame: a frame between the first detection and the last; without a detection of its own it is interpolated.
        window: frames to each side that count.

    Returns:
        The face with smoothed landmarks and box; an interpolated one has the lower score of its two neighbours.
    """
    near = {number - frame: detection for number, detection in detections.items() if abs(number - frame) <= window}
    offsets = sorted(near)
    smoothed = _lowess(np.array(offsets, np.float64), np.stack([near[offset].values for offset in offsets]), window)
    before = near[max(offset for offset in offsets if offset <= 0)].face  # both are the frame's own detection if it has one
    after = near[min(offset for offset in offsets if offset >= 0)].face
    landmarks = _with_pose(smoothed[:LANDMARKS].reshape(5, 2), smoothed[-POSE:])
    x0, y0, x1, y1 = smoothed[LANDMARKS:-POSE].tolist()
    points = tuple((x, y) for x, y in landmarks.tolist())
    return before._replace(box=(x0, y0, x1, y1), landmarks=points, score=min(before.score, after.score))


def _lowess(offsets: Array, values: Array, window: int) -> Array:
    """A robust local polynomial fit of values (n, m) at `offsets` (n,), evaluated at 0: (m,).

    LOWESS (Cleveland 1979, "Robust locally weighted regression"): tricube weights, then two reweighted fits with bisquare
    weights that vanish beyond six times the median residual, so that one wrong detection leaves no trace.
    """
    tricube = (1 - (np.abs(offsets) / (window + 1)) ** 3) ** 3
    powers = np.vander(offsets, 3 if len(offsets) >= 5 else min(2, len(offsets)), increasing=True)
    bisquare = np.ones_like(tricube)
    for last in (False, False, True):
        root = np.sqrt(tricube * bisquare)[:, None]
        fit = np.linalg.lstsq(powers * root, values * root, rcond=None)[0]
        if last or len(offsets) <= 5:  # the residuals of a parabola through five points say little about any of them
            break
        residuals = np.linalg.norm((values - powers @ fit)[:, :LANDMARKS], axis=1)
        bisquare = np.clip(1 - (residuals / (6 * np.median(residuals) + 1e-9)) ** 2, 1e-3, 1) ** 2
    return fit[0]


def _fit_pose(landmarks: Array) -> torch.Tensor:
    """(1, 2, 3): the pose of landmarks (5, 2), image pixels -> pixels of a crop of 512."""
    return fit_similarity(torch.from_numpy(landmarks)[None], template(TEMPLATE_SIDE))


def _with_pose(landmarks: Array, pose: Array) -> Array:
    """Landmarks (5, 2), transformed together such that their fit is `pose` (4,)."""
    own = _fit_pose(landmarks)[0].numpy()
    right, down = pose[:2], np.array([-pose[1], pose[0]])
    linear = np.stack([right, down], axis=1)  # crop -> image
    in_crop = landmarks @ own[:, :2].T + own[:, 2]
    return (in_crop - CENTRE) @ linear.T + pose[2:]
