"""The optional networks and masks of a fix."""

from dataclasses import dataclass

from torch import Tensor

from .imaging.tiling import ImageModel
from .masks.occlusion import Occluder
from .masks.parsing import Parser
from .recognition import People


@dataclass(frozen=True, eq=False)
class Extras:
    """Optional inputs of a fix beside the detector and the restorer: more networks, and masks over the images.

    A mask is (1 or B, 1, h, w) in [0, 1], of any size, stretched over the images; a single one serves every image.

    Attributes:
        parser: face parsing, for the mask style "face" and for `FixOptions.parts`.
        upscaler: upscales the images that the faces are pasted into (at an `upscale` of 1 it cleans them).
        face_upscaler: upscales the restored crops, so that faces stay sharp in enlarged images.
        inside: only faces inside its white are selected, see `Selection.inside`.
        keep_out: nothing is pasted into its white.
        fidelity_mask: in its white the fidelity rises to 1.
        people: tells people apart. With `references` only those persons are selected, see `Selection.distance`.
        occluder: nothing is pasted over what it sees in front of a face.
    """

    parser: Parser | None = None
    upscaler: ImageModel | None = None
    face_upscaler: ImageModel | None = None
    inside: Tensor | None = None
    keep_out: Tensor | None = None
    fidelity_mask: Tensor | None = None
    people: People | None = None
    occluder: Occluder | None = None
