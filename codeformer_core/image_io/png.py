"""PNG files: their chunks, decoding of 16 bits per channel, for which Pillow has no colour mode, and encoding."""

import struct
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from . import ImageFile


XMP_KEYWORD = b"XML:com.adobe.xmp"

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_INCH = 0.0254  # metres


#: What is left out, by the kind of a damaged chunk that does not hold pixels.
_DAMAGED_PARTS = {
    **dict.fromkeys((b"tEXt", b"zTXt", b"iTXt"), "a text"),
    **dict.fromkeys((b"gAMA", b"cHRM", b"sRGB", b"cICP"), "a note on colours"),
    b"iCCP": "the colour profile",
    b"pHYs": "the resolution",
    b"eXIf": "the Exif data",
    b"tRNS": "the transparency",
}

#: Bytes of a colour profile, at most; they are stored compressed.
_LARGEST_PROFILE = 2**26


def sound_chunks(data: bytes) -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """The chunks (kind, data) of a PNG file but for damaged ones beside the pixels, and a sentence on each of these.

    Raises:
        ValueError: the pixels are damaged or cut off.
    """
    found, notices, at = [], [], len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        whole = at + 12 + length <= len(data)
        checksum = data[at + 8 + length : at + 12 + length]
        if kind == b"IEND" and length == 0:
            return [*found, (b"IEND", b"")], notices
        sized = kind != b"pHYs" or length == 9  # Pillow refuses the whole file for another length
        if whole and sized and checksum == struct.pack(">L", zlib.crc32(data[at + 4 : at + 8 + length])):
            found.append((kind, data[at + 8 : at + 8 + length]))
        elif not kind[0] & 0x20:  # a capital: needed to show the image
            raise ValueError(
                f"damaged: its pixels are {'wrong (a checksum)' if whole else 'cut off'}. Get another copy of the file."
            )
        else:
            notices.append(f"Left out {_DAMAGED_PARTS.get(kind, 'a note')}, which is damaged in the PNG file.")
        at += 12 + length
    if not any(kind == b"IDAT" for kind, _ in found):
        raise ValueError("damaged: its pixels are cut off. Get another copy of the file.")
    return [*found, (b"IEND", b"")], [*notices, "The PNG file is cut off behind its pixels."]


def join_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of these chunks."""
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def read_profile(chunk: bytes) -> bytes | None:
    """The colour profile in an iCCP chunk; None when it is damaged."""
    _, _, stored = chunk.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(stored[1:], _LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if inflater.eof else None


def decode_16bit(data: bytes, key: bytes | None) -> np.ndarray:
    """(H, W, C) uint16 of a 16-bit PNG file; `key` is the data of tRNS, the colour that is transparent."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)  # which leaves the orientation to us
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("damaged: OpenCV cannot read this 16-bit PNG file.")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
        if key:
            alpha = np.where(pixels == struct.unpack(">H", key)[0], 0, 65535).astype(np.uint16)
            pixels = np.concatenate([pixels, alpha], 2)
        return pixels
    order = [0, 3] if data[25] in (0, 4) else [2, 1, 0, 3]  # the header's colour types of grey; OpenCV's order is BGRA
    return pixels[:, :, [channel for channel in order if channel < pixels.shape[2]]]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def encode(pixels: np.ndarray, source: "ImageFile") -> bytes:
    """Pixels (H, W, C) uint8 or uint16 and the metadata of `source` as a PNG file."""
    height, width, channels = pixels.shape
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = np.frombuffer(big_endian.tobytes(), np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2  # filter "up": each byte minus the one above; on photographs within 5 % of trying all five filters
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])

    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [(b"IHDR", struct.pack(">LLBBBBB", width, height, pixels.itemsize * 8, colour_type, 0, 0, 0))]
    parts += source.chunks
    if source.icc:
        parts.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(source.icc)))
    if source.dpi:
        parts.append((b"pHYs", struct.pack(">LLB", *(round(dots / _INCH) for dots in source.dpi), 1)))
    if source.exif:
        parts.append((b"eXIf", source.exif))
    if source.xmp:
        parts.append((b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + source.xmp))
    parts += [(b"IDAT", zlib.compress(filtered.data, 6)), (b"IEND", b"")]
    return join_chunks(parts)
