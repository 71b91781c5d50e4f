"""Exif data and XMP packets, changed in place where they speak of orientation and size; everything else byte for byte."""

import re
import struct
from collections.abc import Callable, Iterator, Mapping

ORIENTATION = 0x0112

#: The type of a tag -> the struct of its number; some programs write an orientation as BYTE or LONG.
_INTEGERS = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}

_SHORT, _LONG = 3, 4

_EXIF_DIRECTORY = 0x8769

#: Tags of width and height: of TIFF, and of Exif (PixelXDimension, PixelYDimension).
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)


def upright_exif(exif: bytes) -> tuple[bytes, int | None]:
    """Exif data with orientation 1 and without its thumbnail, and the orientation it had.

    The thumbnail would be turned twice and shows the old face. A struct.error when the data is malformed.
    """
    changed, found = bytearray(exif), None
    order, first = _header(exif)
    end = first + 2
    for at, tag, kind, value in _entries(exif, order, first):
        if tag == ORIENTATION and kind in _INTEGERS:
            found = value
            struct.pack_into(f"{order}HLHH", changed, at + 2, _SHORT, 1, 1, 0)
        end = at + 12
    struct.pack_into(f"{order}L", changed, end, 0)  # the next directory describes the thumbnail
    return bytes(changed), found if found in range(1, 9) else None


def exif_with_size(exif: bytes, width: int, height: int) -> bytes:
    """Exif data whose width and height, where it has them, are these."""
    sizes = dict.fromkeys(_WIDTHS, width) | dict.fromkeys(_HEIGHTS, height)
    changed = bytearray(exif)
    try:
        order, first = _header(exif)
        entries = list(_entries(exif, order, first))
        for _, tag, _, value in entries[:]:
            entries += _entries(exif, order, value) if tag == _EXIF_DIRECTORY else ()
    except struct.error:  # a directory that points beyond the data: as it was
        return exif
    for at, tag, kind, _ in entries:
        if tag in sizes and kind in _INTEGERS:
            struct.pack_into(f"{order}HLL", changed, at + 2, _LONG, 1, sizes[tag])
    return bytes(changed)


def _header(exif: bytes) -> tuple[str, int]:
    """The byte order and where the first directory begins."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        raise struct.error("neither II nor MM")
    return order, struct.unpack_from(f"{order}L", exif, 4)[0]


def _entries(exif: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """The entries of a directory: where each begins, its tag, its type, and its number or offset."""
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", exif, at)
        yield at, tag, kind, struct.unpack_from(order + _INTEGERS.get(kind, "L"), exif, at + 8)[0]


def upright_xmp(xmp: bytes) -> tuple[bytes, int | None]:
    """An XMP packet with orientation 1, and the orientation it had."""
    found = re.search(rb"tiff:Orientation(?:=[\"']|>)([1-8])", xmp)
    return _with_numbers(xmp, {b"tiff:Orientation": 1}), int(found[1]) if found else None


def xmp_with_size(xmp: bytes, width: int, height: int) -> bytes:
    """An XMP packet whose width and height, where it has them, are these."""
    widths, heights = (b"tiff:ImageWidth", b"exif:PixelXDimension"), (b"tiff:ImageLength", b"exif:PixelYDimension")
    return _with_numbers(xmp, dict.fromkeys(widths, width) | dict.fromkeys(heights, height))


def _with_numbers(xmp: bytes, numbers: Mapping[bytes, int]) -> bytes:
    replaced: Callable[[re.Match[bytes]], bytes] = lambda found: found[1] + b"%d" % numbers[found[2]]  # noqa: E731
    return re.sub(rb"((" + b"|".join(numbers) + rb")(?:=[\"']|>))\d+", replaced, xmp)
