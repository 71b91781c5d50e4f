"""Do no harm: which faces a small network draws worse than they are, so that they are left alone."""

import torch
from torch import Tensor

from ..faces import AlignedFaces, Box, Harmed, Skipped
from ..imaging.colour import luminance
from ..masks.parsing import Parser
from ..options.selection import BLURRED
from ..paste import check_faces, find_extremes, paste
from ..runtime.transfer import read_back
from .sharpness import gradient_energy, measure_energies, sharpness

#: The least share of its gradient energy that a face of a small network keeps. RetinaFace MobileNet0.25 finds 68 faces in the
#: photographs and AI images of the test data. 27 are larger than the starter draws; pasted, with their own detail, the 26 sharp
#: ones (`BLURRED`) would keep 0.39 to 1.11, and the blurred one gains. Of the 41 smaller ones 19 would keep 0.54 to 0.94.
SOFTER = 0.95

#: The same in enlarged images, where a part of the gradients is enlarged JPEG artefacts: the seven faces of docs/crew.jpg at
#: twice its size, all of them cleaner, have 0.92 to 1.20.
SOFTER_ENLARGED = 0.9


def harm_reasons(
    images: Tensor, before: Tensor, after: Tensor, aligned: AlignedFaces, measured: Tensor | None = None
) -> list[str | None]:
    """Of each face why it is better left alone; None where it is not. Networks of 512 pixels draw every face.

    A face larger than the network draws is left alone when it is sharp at the network's size: its noise averages out there, so
    that sharpness tells. That of smaller faces does not (with 0.43 to 0.62 six of 14 would become softer, evenly spread), so
    what was drawn is compared with what was there.

    Args:
        images: (B, 3, H, W) RGB in [0, 1], that the faces were found in.
        before, after: (B, 3, H', W'), the images that the faces are pasted into, and with the faces pasted.
        aligned: the restored faces.
        measured: what `measure_harm` gave for them, where it was read already.
    """
    if not aligned.small or not len(aligned):
        return [None] * len(aligned)
    larger = f"larger than this model draws ({aligned.drawn} px)"
    softer = "sharper than this model's result"
    measured = measure_harm(images, before, after, aligned) if measured is None else measured
    least, reasons = SOFTER if before.shape[-1] <= aligned.image_size[1] else SOFTER_ENLARGED, []
    for (first, second), is_larger in zip(measured.tolist(), _larger(aligned), strict=True):
        if is_larger:
            reasons.append(larger if sharpness(first, second) >= BLURRED else None)
        else:
            reasons.append(softer if first < least * second else None)
    return reasons


def paste_measured(
    images: Tensor, background: Tensor, aligned: AlignedFaces, mask: str, parser: Parser | None, keep_detail: str | bool
) -> tuple[Tensor, Tensor, Tensor]:
    """`paste` into a background, and what `measure_harm` gives for it, on the CPU: a GPU is waited for once."""
    pasted, changed = paste(background, aligned, mask, parser, keep_detail, check=False)
    found, measured = read_back(find_extremes(aligned), measure_harm(images, background, pasted, aligned))
    check_faces(aligned, found)
    return pasted, changed, measured


def measure_harm(images: Tensor, before: Tensor, after: Tensor, aligned: AlignedFaces) -> Tensor:
    """The numbers that `harm_reasons` judges by, two for each face, on the device of the images: (N, 2)."""
    height, width = aligned.image_size
    scale, pairs = (before.shape[-1] / width, before.shape[-2] / height), []
    for face, is_larger in zip(aligned.faces, _larger(aligned), strict=True):
        box, row = face.scaled(*scale).box, slice(face.image_index, face.image_index + 1)
        if is_larger:
            pairs.append(measure_energies(images[row], face.box, aligned.drawn))
        else:
            pairs.append(torch.stack([_energy(after[row], box), _energy(before[row], box)]))
    return torch.stack(pairs) if pairs else images.new_zeros(0, 2, dtype=torch.float32)


def _larger(aligned: AlignedFaces) -> list[bool]:
    """Of each face whether it is larger in its image than the network draws."""
    return [scale * aligned.side > aligned.drawn for scale in aligned.image_scales()]


def can_harm(aligned: AlignedFaces, always: bool) -> bool:
    """Whether faces are tested at all: those that a small network drew, unless they were edited or `always` keeps them."""
    return aligned.small and not aligned.edited and not always


def without_harmed(
    images: Tensor, before: Tensor, after: Tensor, aligned: AlignedFaces, always: bool, measured: Tensor | None = None
) -> tuple[AlignedFaces, list[Skipped]]:
    """The faces to keep, and those that `harm_reasons` leaves alone, see `can_harm`."""
    if not can_harm(aligned, always):
        return aligned, []
    reasons = harm_reasons(images, before, after, aligned, measured)
    kept = [row for row, reason in enumerate(reasons) if reason is None]
    return aligned.subset(kept), [Harmed(face, why) for face, why in zip(aligned.faces, reasons, strict=True) if why]


def _energy(image: Tensor, box: Box) -> Tensor:
    """Mean squared gradient of the luminance of an image (1, 3, H, W) inside a box."""
    x0, y0, x1, y1 = (max(0, round(value)) for value in box)
    return gradient_energy(luminance(image[..., y0 : max(y1, y0 + 2), x0 : max(x1, x0 + 2)].float()))
