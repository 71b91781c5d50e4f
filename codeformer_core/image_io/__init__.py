"""Read and write image files, with their bit depth, transparency and metadata."""

import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..runtime.addresses import read_bytes
from ..runtime.atomic_write import write_bytes
from ..runtime.transfer import as_float, read_samples, upload
from . import decode, foreign, tiff
from .encode import FORMATS
from .metadata import exif_with_size, xmp_with_size

_METADATA = {"icc": "the colour profile", "exif": "the Exif data", "xmp": "the XMP data", "chunks": "the PNG text"}


@dataclass(frozen=True, eq=False)
class ImageFile:
    """One image and what its file holds beside the colours.

    Attributes:
        image: (1, 3, H, W) float32 RGB in [0, 1], upright.
        alpha: (1, 1, H, W) float32 in [0, 1], 0 is transparent; None when the file has no transparency.
        bits: 8 or 16 per channel in the file.
        grey: the file has one colour channel (and is written with one).
        icc: ICC colour profile of `image`.
        exif: Exif data from its TIFF header on (without `Exif\\0\\0`), orientation 1.
        xmp: XMP packet, orientation 1 (of JPEG files with Pillow 11 or later only).
        dpi: pixels per inch, horizontal and vertical.
        chunks: PNG chunks (kind, data) that go from PNG to PNG: text such as ComfyUI's workflow, and colour metadata.
        lossless: whether the file was stored without loss, as WebP is then too.
        notices: sentences on what could not be kept while reading.
    """

    image: Tensor
    alpha: Tensor | None = None
    bits: int = 8
    grey: bool = False
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    lossless: bool = True
    notices: tuple[str, ...] = ()


def read(path: str | Path, page: int | None = None, device: torch.device | str = "cpu") -> ImageFile:
    """The image in a file of any suffix, turned upright by its orientation.

    PNG, JPEG, WebP, BMP, TIFF, GIF, TGA, AVIF where Pillow has it, and HEIC with the package pillow-heif.

    Args:
        page: which page of a TIFF file, or image of an animation, from 1; None for the only one.
        device: where image and alpha are; their samples go there as they are in the file, and become float32 there.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is not one still image, or it is damaged; the message names the file.
    """
    path = Path(path) if isinstance(path, str) else path
    data = read_bytes(path)
    try:
        decoded = (tiff if data.startswith(tiff.SIGNATURES) else decode).decode(data, page)
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{path.name} {foreign.describe(data)}") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path.name}: {decode.too_large()}") from error
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    except decode.DAMAGED as error:
        raise ValueError(f"{path.name} is damaged, or of an unusual kind ({error}). Get another copy of the file.") from error
    kinds = Image.registered_extensions() | {".heic": "HEIF", ".heif": "HEIF", ".mpo": "JPEG", ".dib": "BMP"}
    if kinds.get(path.suffix.lower(), decoded.kind) != decoded.kind:
        decoded.notices.insert(0, f"{path.name} is a file of the format {decoded.kind}, whatever its name.")
    pixels = decoded.upright()
    samples = pixels.transpose(2, 0, 1)[None]
    if torch.device(device).type == "cpu":
        planes = torch.from_numpy(np.ascontiguousarray(samples, np.float32))  # (1, C, H, W)
    else:
        planes = as_float(*upload([samples], device))
    planes /= planes.new_full((), np.iinfo(pixels.dtype).max)  # a GPU multiplies by the rounded reciprocal of a plain number
    colours = 3 if planes.shape[1] > 2 else 1
    return ImageFile(
        image=planes[:, :colours].expand(1, 3, -1, -1).contiguous(),
        alpha=planes[:, colours:].contiguous() if planes.shape[1] > colours else None,
        bits=pixels.itemsize * 8,
        grey=colours == 1,
        notices=tuple(decoded.notices),
        **decoded.metadata,
    )


def can_hold(path: Path, file: ImageFile) -> bool:
    """Whether the format of this file name can hold the image's transparency and all of its bits."""
    kind = FORMATS[path.suffix.lower()]
    return file.bits <= kind.bits and (file.alpha is None or kind.alpha)


def write(file: ImageFile, path: str | Path, overwrite: bool = False) -> tuple[str, ...]:
    """Write an image atomically, in the format of the file name's suffix.

    Values are rounded to the nearest step of the file, half to even: what was read and not changed is written bit-identically.

    Returns:
        Sentences on what the format could not hold.

    Raises:
        FileExistsError: the file exists and `overwrite` is not set. It is left as it is.
        ValueError: the format is not known, or it cannot hold the image.
        OSError: the file cannot be written.
    """
    path = Path(path) if isinstance(path, str) else path
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path.name} does not end in the suffix of an image format. Use one of {', '.join(FORMATS)}.")
    alpha = file.alpha
    if alpha is not None and not kind.alpha:
        if bool((alpha < 1).any()):
            raise ValueError(f"{path.name}: {kind.name} holds no transparency, the image has some. Use .png, .webp or .tif.")
        alpha = None
    lost, size = [], (file.image.shape[3], file.image.shape[2])
    file = replace(file, exif=file.exif and exif_with_size(file.exif, *size), xmp=file.xmp and xmp_with_size(file.xmp, *size))
    if file.bits > kind.bits:
        lost.append(f"{kind.name} holds {kind.bits} bits per channel, the image has {file.bits}: rounded")
    for field, words in _METADATA.items():
        value = getattr(file, field)
        wrong_profile = field == "icc" and file.grey and not kind.grey  # a profile of one channel on three
        if value and (field not in kind.keeps or wrong_profile or (field in ("exif", "xmp") and len(value) > kind.limit)):
            lost.append(f"{kind.name} cannot hold {words}: left out")
            file = replace(file, **{field: () if field == "chunks" else None})
    pixels = _quantise(file.image, alpha, file.grey, min(file.bits, kind.bits))
    try:
        data = kind.encode(pixels, file)
    except (ValueError, OSError, struct.error) as error:
        raise ValueError(f"{path.name}: cannot be written as {kind.name}: {error}") from error
    write_bytes(path, data, overwrite)
    return tuple(lost)


def _quantise(image: Tensor, alpha: Tensor | None, grey: bool, bits: int) -> np.ndarray:
    """(1, 3, H, W) and (1, 1, H, W) in [0, 1] -> (H, W, C) uint8 or uint16: grey or RGB, without or with alpha."""
    planes = image.detach().float()
    if grey:  # `imaging.grey.REC601`; equal channels keep their value, because the error is far below one step
        planes = (planes * torch.tensor([0.299, 0.587, 0.114], device=planes.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if alpha is not None:
        planes = torch.cat([planes, alpha.detach().to(planes)], 1)
    (samples,) = read_samples([planes[0].permute(1, 2, 0) * (2**bits - 1)], bits)  # (H, W, C)
    return np.ascontiguousarray(samples)
