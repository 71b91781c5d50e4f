"""Decode PNG, JPEG, WebP and BMP files into pixels and the metadata that goes into the next file (TIFF: see tiff.py)."""

import io
import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

from . import png

#: PNG chunks that are carried over: text, and how colours are meant.
_CARRIED_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI"}

#: Text chunks that begin like this repeat what is carried as `exif` and `xmp`.
_TEXT_OF_METADATA = (png.XMP_KEYWORD + b"\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")

#: Pillow's mode -> the one that it is converted to.
_CONVERTED = {"1": "L", "P": "RGB", "YCbCr": "RGB", "RGBX": "RGBA", "RGBa": "RGBA", "PA": "RGBA", "La": "LA"}

ORIENTATION = 0x0112

#: What Pillow and tifffile raise for files that are truncated or malformed.
DAMAGED = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    struct.error,
    tifffile.TiffFileError,
    zlib.error,
)


@dataclass
class Decoded:
    """The content of an image file.

    Attributes:
        pixels: (H, W, C) uint8 or uint16; C is 1 to 4: grey, grey and alpha, RGB, RGBA.
        orientation: Exif 2.3's number, 1 is upright.
        metadata: fields of `ImageFile`: icc, exif, xmp, dpi, chunks, lossless.
        notices: see `ImageFile`.
    """

    pixels: np.ndarray
    orientation: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def upright(self) -> np.ndarray:
        """The pixels, turned by the orientation."""
        pixels = self.pixels.swapaxes(0, 1) if self.orientation in (5, 6, 7, 8) else self.pixels
        rows = -1 if self.orientation in (3, 4, 7, 8) else 1
        columns = -1 if self.orientation in (2, 3, 6, 7) else 1
        return pixels[::rows, ::columns]


def decode(data: bytes) -> Decoded:
    """The one image in the bytes of a PNG, JPEG, WebP or BMP file, not yet upright.

    Raises:
        ValueError: several images, or samples of an unusual kind.
        PIL.UnidentifiedImageError, PIL.Image.DecompressionBombError: no such file, or too large an image.
        One of DAMAGED: a damaged file.
    """
    image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "BMP"))
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a JPEG file with more images behind the first, as many phones write
        raise ValueError(multiple_images_message(frames))
    image.load()
    chunks = list(png.chunks(data)) if image.format == "PNG" else []
    if chunks and data[24] == 16:  # the header's bits per channel; Pillow would read colours with 8
        decoded = Decoded(png.decode_16bit(data, dict(chunks).get(b"tRNS")), metadata={"icc": image.info.get("icc_profile")})
    else:
        decoded = decode_pillow(image)
    if frames > 1:
        decoded.notices.append(f"Only the first of the file's {frames} images is kept (others may be a depth or gain map).")
    dpi = image.info.get("dpi")
    decoded.metadata |= {
        "chunks": tuple(c for c in chunks if c[0] in _CARRIED_CHUNKS and not c[1].startswith(_TEXT_OF_METADATA)),
        "lossless": image.format in ("PNG", "BMP") or (image.format == "WEBP" and b"VP8L" in _webp_chunks(data)),
        "dpi": (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
    }
    exif = image.info.get("exif")
    if not exif and "Raw profile type exif" in image.info:  # as text in a PNG: ImageMagick's older way
        exif = image.getexif().tobytes()
    orientation = None
    if exif:
        try:
            decoded.metadata["exif"], orientation = _upright_exif(exif.removeprefix(b"Exif\0\0"))
        except struct.error:
            decoded.notices.append("The Exif data is damaged and was left out.")
    if xmp := image.info.get("xmp") or image.info.get(png.XMP_KEYWORD.decode()):
        decoded.metadata["xmp"], in_xmp = reset_xmp_orientation(xmp.encode() if isinstance(xmp, str) else xmp)
        orientation = orientation or in_xmp
    decoded.orientation = orientation or 1
    return decoded


def multiple_images_message(images: int) -> str:
    """The error for a file with more than one image."""
    return f"holds {images} images (an animation or pages), expected one. Save the wanted ones as files of their own."


def decode_pillow(image: Image.Image) -> Decoded:
    """A loaded image of any of Pillow's modes, with its pixels as L, LA, RGB or RGBA."""
    icc, notices = image.info.get("icc_profile"), []
    if image.mode in ("CMYK", "LAB"):
        image, icc, notice = _to_srgb(image, icc)
        notices.append(notice)
    mode = _CONVERTED.get(image.mode, image.mode)
    if mode in ("L", "RGB") and ("transparency" in image.info or (image.palette and image.palette.mode.endswith("A"))):
        mode += "A"
    if mode not in ("L", "LA", "RGB", "RGBA"):
        raise ValueError(f"samples of the kind {mode}, expected 8 or 16 bits per channel. Save it with these.")
    pixels = np.asarray(image if mode == image.mode else image.convert(mode))
    return Decoded(pixels.reshape(*pixels.shape[:2], -1), metadata={"icc": icc}, notices=notices)


def _to_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None, str]:
    """A CMYK or Lab image as RGB, its new profile, and a sentence for the user."""
    srgb = ImageCms.createProfile("sRGB")
    source = ImageCms.createProfile("LAB") if image.mode == "LAB" else io.BytesIO(icc or b"")
    try:
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    except ImageCms.PyCMSError as error:
        problem = f"with a colour profile that cannot be used ({error})" if icc else "without a colour profile"
        return image.convert("RGB"), None, f"{image.mode} {problem}: converted to RGB by the plain formula."
    assert converted is not None  # only None when asked to work in place
    return converted, ImageCms.ImageCmsProfile(srgb).tobytes(), f"Converted from {image.mode} to sRGB by its colour profile."


def _webp_chunks(data: bytes) -> list[bytes]:
    kinds, at = [], 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sL", data, at)
        kinds.append(kind)
        at += 8 + length + length % 2
    return kinds


def _upright_exif(exif: bytes) -> tuple[bytes, int | None]:
    """Exif data with orientation 1 and without its thumbnail, and the orientation it had; everything else byte for byte.

    The thumbnail would be turned twice and shows the old face. A struct.error when the data is malformed.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        raise struct.error("neither II nor MM")
    changed, orientation = bytearray(exif), None
    (first,) = struct.unpack_from(order + "L", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, first)
    for at in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind, _, value = struct.unpack_from(order + "HHLH", exif, at)
        if tag == ORIENTATION and kind == 3:  # SHORT
            orientation = value
            struct.pack_into(order + "H", changed, at + 8, 1)
    struct.pack_into(order + "L", changed, first + 2 + 12 * count, 0)  # the next directory describes the thumbnail
    return bytes(changed), orientation


def reset_xmp_orientation(xmp: bytes) -> tuple[bytes, int | None]:
    """An XMP packet with orientation 1, and the orientation it had."""
    found = re.search(rb"tiff:Orientation(?:=[\"']|>)([1-8])", xmp)
    if found is None:
        return xmp, None
    return xmp[: found.start(1)] + b"1" + xmp[found.end(1) :], int(found[1])
