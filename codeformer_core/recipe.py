"""What is done to every frame of a sequence of pictures."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .faces import AlignedFaces, DetectionOptions
from .parts import Parser
from .selection import CHOICES, Selection
from .tracking import Steadiness


@dataclass(frozen=True)
class Recipe:
    """What is done to every frame of a sequence.

    Attributes:
        fidelity, match_style, grey, batch: see `steps.restore`; the fidelity is one number.
        options, selection, area: see `pipeline.detect`; faces are chosen in each frame, before they are followed. One area
            (1, 1, h, w) serves every frame.
        colour, mask, parser, keep_detail, upscale, upscale_faces: see `pipeline.fix_faces`.
        limited: limits where a face is pasted, such as `limits.limit` with its arguments; called for the faces of one frame.
        enlarged: enlarges frames (1, 3, H, W) in another way than `upscale` does, which then does nothing.
        steadiness: how faces are followed and smoothed over time.
        chunk: frames that are looked at together; the result does not depend on it.
    """

    fidelity: float = 0.5
    match_style: bool = True
    grey: str = "auto"
    batch: int = 1
    options: DetectionOptions = DetectionOptions()
    selection: Selection = CHOICES["all"]
    area: Tensor | None = None
    colour: str = "as restored"
    mask: str = "square"
    parser: Parser | None = None
    keep_detail: bool = False
    upscale: float = 1.0
    limited: Callable[[AlignedFaces], AlignedFaces] | None = None
    enlarged: Callable[[Tensor], Tensor] | None = None
    upscale_faces: Callable[[Tensor], Tensor] | None = None
    steadiness: Steadiness = Steadiness()
    chunk: int = 8
