"""Do no harm: which faces a small network draws worse than they are, so that they are left alone."""

from torch import Tensor

from ..faces import AlignedFaces, Box, Harmed, Skipped
from ..imaging.colour import luminance
from ..options.selection import BLURRED
from .sharpness import gradient_energy, measure_sharpness

#: The least share of its gradient energy that a face of a small network keeps. RetinaFace MobileNet0.25 finds 68 faces in the
#: photographs and AI images of the test data. 27 are larger than the starter draws; pasted, with their own detail, the 26 sharp
#: ones (`BLURRED`) would keep 0.39 to 1.11, and the blurred one gains. Of the 41 smaller ones 19 would keep 0.54 to 0.94.
SOFTER = 0.95

#: The same in enlarged images, where a part of the gradients is enlarged JPEG artefacts: the seven faces of docs/crew.jpg at
#: twice its size, all of them cleaner, have 0.92 to 1.20.
SOFTER_ENLARGED = 0.9


def harm_reasons(images: Tensor, before: Tensor, after: Tensor, aligned: AlignedFaces) -> list[str | None]:
    """Of each face why it is better left alone; None where it is not. Networks of 512 pixels draw every face.

    A face larger than the network draws is left alone when it is sharp at the network's size: its noise averages out there, so
    that sharpness tells. That of smaller faces does not (with 0.43 to 0.62 six of 14 would become softer, evenly spread), so
    what was drawn is compared with what was there.

    Args:
        images: (B, 3, H, W) RGB in [0, 1], that the faces were found in.
        before, after: (B, 3, H', W'), the images that the faces are pasted into, and with the faces pasted.
        aligned: the restored faces.
    """
    if not aligned.small or not len(aligned):
        return [None] * len(aligned)
    larger = f"larger than this model draws ({aligned.drawn} px)"
    softer = f"sharper than this model draws ({aligned.drawn} px)"
    height, width = aligned.image_size
    scale = before.shape[-1] / width, before.shape[-2] / height
    least, reasons = SOFTER if scale[0] <= 1 else SOFTER_ENLARGED, []
    for face, image_scale in zip(aligned.faces, aligned.image_scales(), strict=True):
        if image_scale * aligned.side > aligned.drawn:
            (sharpness,) = measure_sharpness(images, [face], aligned.drawn)
            reasons.append(larger if sharpness >= BLURRED else None)
            continue
        box, row = face.scaled(*scale).box, slice(face.image_index, face.image_index + 1)
        reasons.append(softer if _energy(after[row], box) < least * _energy(before[row], box) else None)
    return reasons


def can_harm(aligned: AlignedFaces, always: bool) -> bool:
    """Whether faces are tested at all: those that a small network drew, unless they were edited or `always` keeps them."""
    return aligned.small and not aligned.edited and not always


def without_harmed(
    images: Tensor, before: Tensor, after: Tensor, aligned: AlignedFaces, always: bool
) -> tuple[AlignedFaces, list[Skipped]]:
    """The faces to keep, and those that `harm_reasons` leaves alone, see `can_harm`."""
    if not can_harm(aligned, always):
        return aligned, []
    reasons = harm_reasons(images, before, after, aligned)
    kept = [row for row, reason in enumerate(reasons) if reason is None]
    return aligned.subset(kept), [Harmed(face, why) for face, why in zip(aligned.faces, reasons, strict=True) if why]


def _energy(image: Tensor, box: Box) -> float:
    """Mean squared gradient of the luminance of an image (1, 3, H, W) inside a box."""
    x0, y0, x1, y1 = (max(0, round(value)) for value in box)
    return gradient_energy(luminance(image[..., y0 : max(y1, y0 + 2), x0 : max(x1, x0 + 2)].float()))
