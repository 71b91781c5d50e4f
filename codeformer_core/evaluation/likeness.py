"""Whether a restored face is the same: distance of the landmarks, and similarity of what a recogniser makes of the faces."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..faces import FULL_SIDE, Detector, Face
from ..options import DetectionOptions
from ..recognition import Recogniser, describe


class Likeness:
    """The metrics "landmarks" and "identity" of the largest face of an image, with that of its truth; a `metrics.Score`.

    Args:
        detector: finds faces.
        recogniser: describes them; None leaves "identity" out.
    """

    def __init__(self, detector: Detector, recogniser: Recogniser | None = None) -> None:
        self.detector, self.recogniser = detector, recogniser

    def __call__(self, images: Tensor, truth: Tensor) -> Mapping[str, float]:
        """Images (1, 3, H, W) -> the landmarks' mean distance, in pixels of a face of 512, and the cosine of the descriptions
        (IDS); NaN where no face is found in one of them."""
        both = torch.cat([images, truth])
        faces = [_largest(self.detector.detect(both, DetectionOptions()), index) for index in (0, 1)]
        found = [face for face in faces if face is not None]
        names = ["landmarks", "identity"] if self.recogniser else ["landmarks"]
        if len(found) < 2:
            return dict.fromkeys(names, float("nan"))
        ours, theirs = (torch.tensor(face.landmarks) for face in found)
        scores = {"landmarks": (ours - theirs).norm(dim=1).mean().item() * FULL_SIDE / max(images.shape[-2:])}
        if self.recogniser:
            described = describe(both, found, self.recogniser)
            scores["identity"] = F.cosine_similarity(described[0], described[1], dim=0).item()
        return scores


def _largest(faces: list[Face], image: int) -> Face | None:
    return max((face for face in faces if face.image_index == image), key=lambda face: face.area, default=None)
