"""Decode image files into pixels and the metadata that goes into the next file (TIFF: see tiff.py)."""

import importlib
import importlib.util
import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms

from . import png
from .metadata import upright_exif, upright_xmp

#: PNG chunks that are carried over: text, and how colours are meant.
_CARRIED_CHUNKS = {b"tEXt", b"zTXt", b"iTXt", b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI"}

#: Text chunks that begin like this repeat what is carried as `exif` and `xmp`.
_TEXT_OF_METADATA = (png.XMP_KEYWORD + b"\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")

#: PNG chunks that Pillow is given: what it needs to find pixels, frames and metadata. Of texts only those of metadata, since it
#: refuses long ones, and no colour profile, for the same reason.
_FOR_PILLOW = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"pHYs"}

#: Formats that are read, by Pillow's names. TGA has no signature and comes last; HEIF needs the package pillow-heif.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "AVIF", "HEIF", "TGA")

_LOSSLESS = ("PNG", "BMP", "GIF", "TGA")

#: Pixels of an image, at most: Pillow's limit against files that are made to exhaust memory.
LARGEST = 178_956_970

#: Pillow's mode -> the one that it is converted to.
_CONVERTED = {"1": "L", "P": "RGB", "YCbCr": "RGB", "RGBX": "RGBA", "RGBa": "RGBA", "PA": "RGBA", "La": "LA"}

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
        kind: the file's format, by Pillow's name.
        orientation: Exif 2.3's number, 1 is upright.
        metadata: fields of `ImageFile`: icc, exif, xmp, dpi, chunks, lossless.
        notices: see `ImageFile`.
    """

    pixels: np.ndarray
    kind: str = "TIFF"
    orientation: int = 1
    metadata: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def upright(self) -> np.ndarray:
        """The pixels, turned by the orientation."""
        pixels = self.pixels.swapaxes(0, 1) if self.orientation in (5, 6, 7, 8) else self.pixels
        rows = -1 if self.orientation in (3, 4, 7, 8) else 1
        columns = -1 if self.orientation in (2, 3, 6, 7) else 1
        return pixels[::rows, ::columns]


def check_size(width: int, height: int, samples: int = 4) -> None:
    """A ValueError for more pixels than are read, before memory is taken for them; samples beyond four count as pixels."""
    if width * height * max(1, samples / 4) > LARGEST:
        raise ValueError(f"{too_large()} (Found {width} x {height}.)")


def too_large() -> str:
    """The error for more pixels than are read."""
    return (
        f"more than {LARGEST // 10**6} megapixels, the limit against files that are made to exhaust memory. "
        "Make it smaller, or cut it into parts."
    )


def decode(data: bytes, page: int | None = None) -> Decoded:
    """One image in the bytes of a file that Pillow reads, not yet upright.

    Args:
        page: which image of an animation, from 1; None for the only one.

    Raises:
        ValueError: several images, too large an image, or samples of an unusual kind.
        PIL.UnidentifiedImageError, PIL.Image.DecompressionBombError: no such file, or too large an image.
        One of DAMAGED: a damaged file.
    """
    chunks, notices = png.sound_chunks(data) if data.startswith(png.SIGNATURE) else ([], [])
    if chunks:
        data = png.join_chunks(c for c in chunks if c[0] in _FOR_PILLOW or c[1].startswith(_TEXT_OF_METADATA))
    image = _opened(data)
    frames = getattr(image, "n_frames", 1)
    first_of_many = image.format in ("MPO", "HEIF")  # as phones write, with depth or gain maps behind the first
    if page is not None or (frames > 1 and not first_of_many):
        image.seek(chosen_page(page, frames))
        notices += [f"Page {page} of {frames}."] if frames > 1 else []
    elif frames > 1:
        notices.append(f"Only the first of the file's {frames} images is kept (others may be a depth or gain map).")
    image, cut_off = _loaded(image, data)
    notices += cut_off
    profile = dict(chunks).get(b"iCCP")
    if profile and (profile := png.read_profile(profile)) is None:
        notices.append("Left out the colour profile, which is damaged in the PNG file.")
    icc = profile or image.info.get("icc_profile")
    if chunks and data[24] == 16:  # the header's bits per channel; Pillow would read colours with 8
        decoded = Decoded(png.decode_16bit(data, dict(chunks).get(b"tRNS")), metadata={"icc": icc})
    else:
        decoded = decode_pillow(image, icc)
    decoded.notices[:0], decoded.kind = notices, str(image.format).replace("MPO", "JPEG")
    dpi = image.info.get("dpi")
    decoded.metadata |= {
        "chunks": tuple(c for c in chunks if c[0] in _CARRIED_CHUNKS and not c[1].startswith(_TEXT_OF_METADATA)),
        "lossless": image.format in _LOSSLESS or (image.format == "WEBP" and b"VP8L" in _webp_chunks(data)),
        "dpi": (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
    }
    exif = image.info.get("exif")
    if not exif and "Raw profile type exif" in image.info:  # as text in a PNG: ImageMagick's older way
        exif = image.getexif().tobytes()
    orientation = None
    if exif:
        try:
            decoded.metadata["exif"], orientation = upright_exif(exif.removeprefix(b"Exif\0\0"))
        except struct.error:
            decoded.notices.append("The Exif data is damaged and was left out.")
    if xmp := image.info.get("xmp") or image.info.get(png.XMP_KEYWORD.decode()):
        decoded.metadata["xmp"], in_xmp = upright_xmp(xmp.encode() if isinstance(xmp, str) else xmp)
        orientation = orientation or in_xmp
    decoded.orientation = orientation or 1
    return decoded


def chosen_page(page: int | None, pages: int) -> int:
    """The index, from 0, of page `page`, from 1; a ValueError for none of several pages, or for one that is not there."""
    if page is None and pages > 1:
        raise ValueError(
            f"holds {pages} images (an animation or pages), expected one. Choose one with --page, 1 to {pages}, or save the "
            "wanted ones as files of their own."
        )
    if page is not None and not 1 <= page <= pages:
        raise ValueError(f"has no page {page}, it holds {pages}. Choose --page 1{f' to {pages}' if pages > 1 else ''}.")
    return (page or 1) - 1


def _opened(data: bytes) -> Image.Image:
    Image.init()
    if data[4:8] == b"ftyp" and "HEIF" not in Image.OPEN and importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    image = Image.open(io.BytesIO(data), formats=[name for name in FORMATS if name in Image.OPEN])
    check_size(*image.size)
    return image


def _loaded(image: Image.Image, data: bytes) -> tuple[Image.Image, list[str]]:
    """An opened image with its pixels, and a notice where a JPEG file ends without its end marker.

    Its pixels are whole when they do not depend on the bytes that are put in the marker's place: where some are missing, the
    decoder takes these for pixels.
    """
    try:
        image.load()
        return image, []
    except OSError:
        if image.format not in ("JPEG", "MPO"):
            raise
    ends = [_opened(data.removesuffix(b"\xff") + end + b"\xff\xd9") for end in (b"", b"\x55" * 64, b"\xaa" * 64)]
    if len({end.tobytes() for end in ends}) > 1:
        raise ValueError("cut off: the last rows of its pixels are missing. Get another copy of the file.")
    return ends[0], ["The JPEG file has no end marker, its pixels are whole."]


def decode_pillow(image: Image.Image, icc: bytes | None = None) -> Decoded:
    """A loaded image of any of Pillow's modes and its colour profile, with its pixels as L, LA, RGB or RGBA."""
    notices = []
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
