"""Holes to inpaint: feathered masks, and white brush strokes in the image as in the reference's examples."""

from torch import Tensor

from ..imaging.morphology import erode, grow_and_feather

#: How far from white (of 1) a brush stroke may be: JPEG moves white by a few levels of 255; the reference asks for exactly 255.
TOLERANCE = 8 / 255

#: Pixels around a stroke that JPEG blends with their neighbours.
RIM = 2


def white_brush_mask(images: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """The white brush strokes in images (B, 3, H, W): holes (B, 1, H, W) of 0 and 1.

    Highlights and specks narrower than three pixels are ignored. With a tolerance of 0 the holes are exactly the pure white
    pixels, as in the reference (inference_inpainting.py).
    """
    white = (images >= 1 - tolerance - 1e-6).all(dim=1, keepdim=True).to(images.dtype)
    if tolerance == 0:
        return white
    return grow_and_feather(erode(white, 3), grow=1 + RIM)


def fade_edges(holes: Tensor, feather: int) -> Tensor:
    """Holes (B, 1, H, W) that fade out into the known within `feather` pixels around them; 0 leaves their edges hard."""
    return grow_and_feather(holes, grow=(feather + 1) // 2, feather=feather // 2) if feather else holes
