"""TIFF files: Pillow decodes 8 bits per channel, tifffile (or OpenCV) 16; tifffile encodes both."""

import io
import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin

from .decode import DAMAGED, ORIENTATION, Decoded, decode_pillow, multiple_images_message, reset_xmp_orientation

if TYPE_CHECKING:
    from . import ImageFile


SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

#: TIFF tags that describe the image, as opposed to how its samples are stored (TIFF 6.0; 0x9c9b and on are Windows').
_DESCRIPTIVE = {270, 271, 272, 305, 306, 315, 316, 33432, *range(0x9C9B, 0x9CA0)}

#: Tags that point to the Exif and the GPS directory.
_DIRECTORIES = (0x8769, 0x8825)


def decode(data: bytes) -> Decoded:
    """The one image in the bytes of a TIFF file, not yet upright. A ValueError for several, or of an unusual kind."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if len(file.pages) > 1:
            raise ValueError(multiple_images_message(len(file.pages)))
        page = file.pages.first
        tags = {tag.code: tag.value for tag in page.tags}
        if page.bitspersample == 16 and page.sampleformat == 1:  # without sign
            decoded = Decoded(_decode_16bit(data, file, page), metadata={"icc": tags.get(34675)})
            decoded.orientation = int(tags.get(ORIENTATION, 1))
        elif page.bitspersample <= 8:
            image = Image.open(io.BytesIO(data), formats=("TIFF",))
            image.load()
            decoded = decode_pillow(image)
            decoded.orientation = image.getexif().get(ORIENTATION, 1)  # removed by a Pillow that turns while it loads
        else:
            found = f"{page.bitspersample} bits per channel of the kind {page.dtype}"
            raise ValueError(f"{found}, expected 8 bits, or 16 without sign. Save it with these.")
        if any(kind not in (1, 2) for kind in page.extrasamples) or len(page.extrasamples) > 1:
            decoded.notices.append("Channels beside the colours and the transparency were left out.")
    per_inch = {2: 1.0, 3: 2.54}.get(int(tags.get(296, 2)))
    if per_inch and all(tags.get(tag, (0, 0))[1] and tags[tag][0] for tag in (282, 283)):
        decoded.metadata["dpi"] = (tags[282][0] / tags[282][1] * per_inch, tags[283][0] / tags[283][1] * per_inch)
    if isinstance(tags.get(700), bytes):
        decoded.metadata["xmp"] = reset_xmp_orientation(tags[700])[0]
    try:
        described = _descriptive_tags(data)
        decoded.metadata["exif"] = described.tobytes().removeprefix(b"Exif\0\0") if described else None
    except (*DAMAGED, ValueError) as error:
        decoded.notices.append(f"The Exif data cannot be read and was left out ({error}).")
    return decoded


def _decode_16bit(data: bytes, file: tifffile.TiffFile, page: tifffile.TiffPage) -> np.ndarray:
    """(H, W, C) uint16 of a 16-bit TIFF file, as stored (not yet upright)."""
    if page.photometric not in (0, 1, 2):
        raise ValueError(
            f"16 bits per channel of the kind {page.photometric!r}, expected grey or RGB. Convert it to one of these."
        )
    try:
        samples = page.asarray(squeeze=False)  # (planes, 1, H, W, interleaved); one of the two is 1
    except ValueError as error:
        pixels = _decode_16bit_by_opencv(data, file, page, str(error))
    else:
        pixels = np.moveaxis(samples[:, 0], 0, -1).reshape(page.imagelength, page.imagewidth, -1)
    colours = 3 if page.photometric == 2 else 1
    kind = page.extrasamples[0] if page.extrasamples else 2  # a fourth channel that is not explained is taken for alpha
    pixels = pixels[:, :, : colours + (kind in (1, 2))]
    if page.photometric == 0:  # 0 is white
        pixels = np.concatenate([65535 - pixels[:, :, :1], pixels[:, :, 1:]], 2)
    if kind == 1:  # colours are stored multiplied with alpha
        alpha = np.maximum(pixels[:, :, -1:].astype(np.float64), 1)
        straight = np.rint(np.minimum(pixels[:, :, :-1] / alpha, 1) * 65535).astype(np.uint16)
        pixels = np.concatenate([straight, pixels[:, :, -1:]], 2)
    return pixels


def _decode_16bit_by_opencv(data: bytes, file: tifffile.TiffFile, page: tifffile.TiffPage, problem: str) -> np.ndarray:
    """The same for LZW, which tifffile cannot read without another package and OpenCV can."""
    upright = bytearray(data)
    if ORIENTATION in page.tags:  # some versions of OpenCV turn the image and some do not: let none do it
        struct.pack_into(file.byteorder + "H", upright, page.tags[ORIENTATION].valueoffset, 1)
    pixels = cv2.imdecode(np.frombuffer(upright, np.uint8), cv2.IMREAD_UNCHANGED)
    channels = 1 if pixels is None or pixels.ndim == 2 else pixels.shape[2]
    if pixels is None or pixels.dtype != np.uint16 or channels != page.samplesperpixel or page.photometric == 0:
        raise ValueError(f"damaged, or stored in an unusual way ({problem}). Save it without compression or with Deflate.")
    return pixels[:, :, None] if channels == 1 else pixels[:, :, [2, 1, 0, 3][:channels]]


def _descriptive_tags(data: bytes) -> Image.Exif:
    """The tags that describe the image, of a TIFF file or of Exif data (which is a TIFF file without pixels)."""
    every, kept = Image.Exif(), Image.Exif()
    if 43 not in data[2:4]:  # not BigTIFF, which some versions of Pillow cannot parse
        every.load(data)
    for tag in _DESCRIPTIVE & set(every):
        kept[tag] = every[tag]
    for tag in _DIRECTORIES:
        if directory := every.get_ifd(tag):
            kept[tag] = dict(directory)
    return kept


def encode(pixels: np.ndarray, source: "ImageFile") -> bytes:
    """Pixels (H, W, C) uint8 or uint16 and the metadata of `source` as a TIFF file."""
    channels = pixels.shape[2]
    described = _descriptive_tags(source.exif or b"")
    directories = {tag: described.pop(tag) for tag in _DIRECTORIES if tag in described}
    tags: list[tuple] = [
        (tag, "s" if isinstance(value, str) else "B", 0, value.encode() if isinstance(value, str) else value, True)
        for tag, value in described.items()
        if isinstance(value, (str, bytes))
    ]
    if source.xmp:
        tags.append((700, "B", len(source.xmp), source.xmp, True))
    if source.icc:
        tags.append((34675, 7, len(source.icc), source.icc, True))  # 7: UNDEFINED
    tags += [(tag - 1, "I", 1, 0, True) for tag in directories]  # tifffile writes neither; see _append_directory
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        pixels if channels > 1 else pixels[:, :, 0],
        byteorder="<",
        photometric="minisblack" if channels <= 2 else "rgb",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        predictor=True,
        resolution=source.dpi,
        resolutionunit="INCH" if source.dpi else None,
        metadata=None,
        software=False,
        extratags=tags,
    )
    for tag, directory in directories.items():
        _append_directory(file, tag, directory)
    return file.getvalue()


def _append_directory(file: io.BytesIO, tag: int, directory: dict) -> None:
    """Put a directory of tags, which tifffile cannot write, at the end of a TIFF file.

    The entry that tifffile wrote under the unused number before `tag` becomes `tag`, and points to the directory.
    """
    entries = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0", group=tag)
    for key, value in directory.items():
        if not isinstance(value, dict) and key != 0xA005:  # interoperability: a further pointer, of no use to a reader
            entries[key] = value
    file.seek(0)
    with tifffile.TiffFile(file) as written:
        entry = written.pages.first.tags[tag - 1].offset
    end = file.seek(0, io.SEEK_END)
    offset = end + end % 2  # directories begin at even places
    file.write(b"\0" * (end % 2) + entries.tobytes(offset))
    file.seek(entry)
    file.write(struct.pack("<HHLL", tag, 4, 1, offset))  # 4: LONG
