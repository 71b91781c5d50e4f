"""The optional networks and masks of a fix."""

from dataclasses import dataclass

from torch import Tensor

from .imaging.resize import fit_over
from .imaging.tiling import ImageModel
from .masks.occlusion import Occluder
from .masks.parsing import Parser
from .recognition import People


@dataclass(frozen=True, eq=False)
class Extras:
    """Optional inputs of a fix beside the detector and the restorer: more networks, and masks over the images.

    A mask is (1 or B, 1, h, w) in [0, 1], of any size with the aspect ratio of the images; a single one serves every image.

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

    def __post_init__(self) -> None:
        for name, mask in self.masks():
            _check_mask(name, mask)

    def masks(self) -> list[tuple[str, Tensor]]:
        """The masks by their names, without those that are None."""
        masks = {"inside": self.inside, "keep_out": self.keep_out, "fidelity_mask": self.fidelity_mask}
        return [(name, mask) for name, mask in masks.items() if mask is not None]

    def check_images(self, images: Tensor) -> None:
        """A ValueError for masks of another number or aspect ratio than images (B, 3, H, W); one alike all over always fits."""
        count, _, height, width = images.shape
        for name, mask in self.masks():
            if len(mask) not in (1, count):
                raise ValueError(f"Found {len(mask)} masks as {name} for {count} images. Expected one, or one for each image.")
            if not fit_over(mask, height, width):
                high, wide = mask.shape[-2:]
                raise ValueError(
                    f"Found a mask of {wide} x {high} as {name} for images of {width} x {height}. Expected the same "
                    "proportions: make a mask of the image's size."
                )


def _check_mask(name: str, mask: object) -> None:
    shape = tuple(getattr(mask, "shape", ()))
    if not isinstance(mask, Tensor) or mask.ndim != 4 or mask.shape[1] != 1 or not mask.numel():
        kind = type(mask).__name__
        raise ValueError(
            f"Found a {kind} of shape {shape} as {name}. Expected a tensor (1 or B, 1, h, w) of floats in [0, 1]: of one array "
            "(h, w) make it by torch.from_numpy(mask)[None, None]."
        )
    low, high = (float(value) for value in mask.detach().aminmax())
    if not (low >= 0 and high <= 1):  # NaN neither
        raise ValueError(
            f"Found values from {low:.9g} to {high:.9g} in {name}. Expected [0, 1]: divide values of 8 bits by 255, and clamp "
            "those of a mask that was blurred or resized, which rounding takes beyond."
        )
