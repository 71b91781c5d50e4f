"""TIFF files: Pillow decodes 8 bits per channel, tifffile (or OpenCV) the others; tifffile encodes."""

import io
import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin

from .decode import DAMAGED, Decoded, check_size, chosen_page, decode_pillow
from .metadata import ORIENTATION, upright_xmp

if TYPE_CHECKING:
    from . import ImageFile


SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

#: TIFF tags that describe the image, as opposed to how its samples are stored (TIFF 6.0; 0x9c9b and on are Windows').
_DESCRIPTIVE = {270, 271, 272, 305, 306, 315, 316, 33432, *range(0x9C9B, 0x9CA0)}

#: Tags that point to the Exif and the GPS directory.
_DIRECTORIES = (0x8769, 0x8825)


#: NewSubfileType: a smaller copy of another image, and a mask over one.
_REDUCED, _MASK = 1, 4

#: Photometric interpretations: 0 is white, 0 is black, RGB, inks (CMYK).
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _INKS = 0, 1, 2, 5


def decode(data: bytes, page: int | None = None) -> Decoded:
    """One image in the bytes of a TIFF file, not yet upright; thumbnails and masks beside it are left out.

    Args:
        page: which of several pages, from 1; None for the only one.

    Raises:
        ValueError: several pages, too large an image, or samples of an unusual kind.
        One of DAMAGED: a damaged file.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        directories = [page.aspage() for page in file.pages]
        photos = [index for index, found in enumerate(directories) if not _kind(found) & (_REDUCED | _MASK)]
        if not photos and directories[0].tags.get(330):
            raise ValueError("holds a thumbnail, and the photo in a form for raw converters. Develop it with one of these.")
        photos = photos or [0]
        index = photos[chosen_page(page, len(photos))]
        chosen = directories[index]
        tags = {tag.code: tag.value for tag in chosen.tags}
        _check_sizes(chosen)
        data = _beginning_with(chosen, data, file) if index else data
        if chosen.bitspersample <= 8:
            image = Image.open(io.BytesIO(data), formats=("TIFF",))
            image.load()
            decoded = decode_pillow(image, tags.get(34675))
            decoded.orientation = image.getexif().get(ORIENTATION, 1)  # removed by a Pillow that turns while it loads
        else:
            decoded = _decode_deep(data, file, chosen, tags.get(34675))
            decoded.orientation = int(tags.get(ORIENTATION, 1))
        if any(kind not in (1, 2) for kind in chosen.extrasamples) or len(chosen.extrasamples) > 1:
            decoded.notices.append("Channels beside the colours and the transparency were left out.")
    if len(photos) > 1:
        decoded.notices.append(f"Page {page} of {len(photos)}.")
    if len(directories) > len(photos):
        decoded.notices.append("Thumbnails and masks beside the image were left out.")
    per_inch = {2: 1.0, 3: 2.54}.get(int(tags.get(296, 2)))
    if per_inch and all(tags.get(tag, (0, 0))[1] and tags[tag][0] for tag in (282, 283)):
        decoded.metadata["dpi"] = (tags[282][0] / tags[282][1] * per_inch, tags[283][0] / tags[283][1] * per_inch)
    if isinstance(tags.get(700), bytes):
        decoded.metadata["xmp"] = upright_xmp(tags[700])[0]
    try:
        described = _descriptive_tags(data)
        decoded.metadata["exif"] = described.tobytes().removeprefix(b"Exif\0\0") if described else None
    except (*DAMAGED, ValueError) as error:
        decoded.notices.append(f"The Exif data cannot be read and was left out ({error}).")
    return decoded


def _kind(page: tifffile.TiffPage) -> int:
    """The bits of NewSubfileType, also where a file has its older form."""
    older = _REDUCED if 255 in page.tags and page.tags[255].value == 2 else 0
    return int(page.tags[254].value) if 254 in page.tags else older


def _beginning_with(page: tifffile.TiffPage, data: bytes, file: tifffile.TiffFile) -> bytes:
    """The file with its header pointing to this page, since Pillow cannot open one that begins with a mask."""
    changed = bytearray(data)
    struct.pack_into(f"{file.byteorder}{'Q' if file.is_bigtiff else 'L'}", changed, 8 if file.is_bigtiff else 4, page.offset)
    return bytes(changed)


def _check_sizes(page: tifffile.TiffPage) -> None:
    """A ValueError for more pixels than are read, in the image or in a tile, and for strips that hold far more than these."""
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel)
    width, length = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    length = min(length, max(page.imagelength, page.tilelength if page.is_tiled else 0))
    check_size(width, length, page.samplesperpixel)
    raw = width * length * page.samplesperpixel * page.bitspersample // 8
    if max(page.databytecounts, default=0) > 2 * raw + 2**16:
        raise ValueError(
            "damaged: a part of it is far larger than the pixels that it is to hold. Get another copy of the file."
        )


def _decode_deep(data: bytes, file: tifffile.TiffFile, page: tifffile.TiffPage, icc: bytes | None) -> Decoded:
    """A page of 16 and more bits per channel, whole numbers or floats: as uint16, but for CMYK, which becomes RGB of 8 bits."""
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _INKS):
        found = f"{page.bitspersample} bits per channel of the kind {page.photometric!r}"
        raise ValueError(f"{found}, expected grey, RGB or CMYK. Convert it to one of these.")
    if page.sampleformat not in (1, 3):
        raise ValueError(f"numbers with a sign or in pairs ({page.dtype}), expected without. Save it with 8 or 16 bits.")
    pixels, notices = _to_uint16(_samples(data, file, page))
    if page.photometric == _INKS:
        if pixels.shape[2] < 4:
            raise ValueError(f"{pixels.shape[2]} inks, expected 4 (CMYK). Convert it to RGB.")
        inks = np.rint(pixels[:, :, :4] / 257).astype(np.uint8)
        decoded = decode_pillow(Image.frombytes("CMYK", (page.imagewidth, page.imagelength), inks.tobytes()), icc)
        decoded.notices[:0] = [*notices, "CMYK of 16 bits per channel: rounded to 8."]
        return decoded
    colours = 3 if page.photometric == _RGB else 1
    kind = page.extrasamples[0] if page.extrasamples else 2  # a fourth channel that is not explained is taken for alpha
    pixels = pixels[:, :, : colours + (kind in (1, 2))]
    if page.photometric == _WHITE_IS_ZERO:
        pixels = np.concatenate([65535 - pixels[:, :, :1], pixels[:, :, 1:]], 2)
    if kind == 1:  # colours are stored multiplied with alpha
        alpha = np.maximum(pixels[:, :, -1:].astype(np.float64), 1)
        straight = np.rint(np.minimum(pixels[:, :, :-1] / alpha, 1) * 65535).astype(np.uint16)
        pixels = np.concatenate([straight, pixels[:, :, -1:]], 2)
    return Decoded(pixels, metadata={"icc": icc}, notices=notices)


def _samples(data: bytes, file: tifffile.TiffFile, page: tifffile.TiffPage) -> np.ndarray:
    """(H, W, C) of a page, as stored (not yet upright).

    Without the package imagecodecs tifffile cannot read LZW, which OpenCV can: grey and RGB.
    """
    try:
        samples = page.asarray(squeeze=False)  # (planes, 1, H, W, interleaved); one of the two is 1
        return np.moveaxis(samples[:, 0], 0, -1).reshape(page.imagelength, page.imagewidth, -1)
    except ValueError as error:
        problem = error
    upright = bytearray(data)
    if ORIENTATION in page.tags:  # some versions of OpenCV turn the image and some do not: let none do it
        tag = page.tags[ORIENTATION]
        struct.pack_into(file.byteorder + ("L" if tag.dtype == 4 else "H"), upright, tag.valueoffset, 1)
    pixels = cv2.imdecode(np.frombuffer(upright, np.uint8), cv2.IMREAD_UNCHANGED)
    channels = 1 if pixels is None or pixels.ndim == 2 else pixels.shape[2]
    fitting = page.photometric in (_BLACK_IS_ZERO, _RGB) and channels == page.samplesperpixel
    if pixels is None or pixels.dtype != page.dtype or not fitting:
        raise ValueError(
            f"damaged, or stored in a way that needs another package ({problem}). Save it without compression or with Deflate, "
            "or install the package: pip install imagecodecs"
        )
    return pixels[:, :, None] if channels == 1 else pixels[:, :, [2, 1, 0, 3][:channels]]


def _to_uint16(samples: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Samples of any unsigned or floating type as uint16, and a sentence on what is lost."""
    if samples.dtype == np.uint16:
        return samples, []
    if samples.dtype.kind == "u":
        most = np.iinfo(samples.dtype).max
        return np.rint(samples / most * 65535).astype(np.uint16), [
            f"{samples.dtype.itemsize * 8} bits per channel: rounded to 16."
        ]
    if not np.isfinite(samples).all():
        raise ValueError("holds values that are not finite. Replace them, and save it again.")
    lost = [f"Floating point ({samples.dtype.itemsize * 8} bits per channel): rounded to 16 bits."]
    if samples.min() < 0 or samples.max() > 1:
        lost.append(f"Values from {samples.min():.3g} to {samples.max():.3g} were cut to 0 to 1.")
    return np.rint(samples.clip(0, 1).astype(np.float64) * 65535).astype(np.uint16), lost


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
