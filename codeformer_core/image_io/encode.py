"""Encoders of the file formats, and what each format can hold."""

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from . import png, tiff

if TYPE_CHECKING:
    from . import ImageFile


def _pillow(pixels: np.ndarray, source: "ImageFile", name: str, **options: object) -> bytes:
    image = Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[:, :, 0])
    metadata = {
        "icc_profile": source.icc,
        "exif": source.exif and b"Exif\0\0" + source.exif,
        "xmp": source.xmp,
        "dpi": source.dpi and tuple(round(dots) for dots in source.dpi),
    }
    file = io.BytesIO()
    image.save(file, name, **{key: value for key, value in metadata.items() if value}, **options)
    return file.getvalue()


def _webp(pixels: np.ndarray, source: "ImageFile") -> bytes:
    if pixels.shape[2] <= 2:
        pixels = pixels[:, :, [0, 0, 0, 1][: pixels.shape[2] + 2]]  # there is no grey WebP
    return _pillow(pixels, source, "WEBP", lossless=source.lossless, quality=95, exact=True)


class Format(NamedTuple):
    """What a file format can hold, and how it is written.

    Attributes:
        name: shown to the user.
        encode: (pixels (H, W, C) uint8 or uint16, C = grey, grey and alpha, RGB or RGBA; the image's metadata) -> file.
        alpha: it can hold transparency.
        bits: per channel, at most.
        keeps: which of "icc", "exif", "xmp", "chunks" it can hold.
        grey: it can hold one channel, and with it the profile of one channel.
        limit: bytes of Exif and of XMP, at most.
    """

    name: str
    encode: "Callable[[np.ndarray, ImageFile], bytes]"
    alpha: bool = True
    bits: int = 8
    keeps: Sequence[str] = ("icc", "exif", "xmp")
    grey: bool = True
    limit: int = 2**31


_JPEG = Format(
    "JPEG",
    partial(_pillow, name="JPEG", quality=95, subsampling=0, optimize=True),
    alpha=False,
    limit=65_500,  # a segment is at most 65 535 bytes with its header
)

_TIFF = Format("TIFF", tiff.encode, bits=16)

#: By the suffix of the file name.
FORMATS: dict[str, Format] = {
    ".png": Format("PNG", png.encode, bits=16, keeps=("icc", "exif", "xmp", "chunks")),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jfif": _JPEG,  # as Windows and browsers save them
    ".jpe": _JPEG,
    ".jfi": _JPEG,
    ".webp": Format("WebP", _webp, grey=False),
    ".bmp": Format("BMP", partial(_pillow, name="BMP"), alpha=False, keeps=()),
    ".tif": _TIFF,
    ".tiff": _TIFF,
}
