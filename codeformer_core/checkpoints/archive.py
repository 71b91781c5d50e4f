"""The table of contents of a zip-format .pth: whether its tensors may be mapped, and what is refused before it is inflated."""

import struct
import zipfile
from collections import Counter
from pathlib import Path
from typing import BinaryIO

#: A pickle of names and shapes is 100 kB for CodeFormer; every byte of it is an instruction for Python.
LARGEST_PICKLE = 16 << 20

#: Weights shrink by a tenth, halves of zeros by two. Small files are spared: synthetic ones may be all zeros.
LARGEST_INFLATION, ALWAYS_ALLOWED = 20, 256 << 20

#: What malloc guarantees, and less than the 64 bytes that torch.save aligns to.
_ALIGNMENT = 16

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what torch reads

_OTHER_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}  # APPNOTE.TXT 4.4.5

_ENCRYPTED = 1  # bit of the general purpose flags


class RefusedArchive(Exception):
    """Says what is wrong with an archive, as the rest of a sentence that begins with the file's name.

    Attributes:
        advice: what to do about it; empty where only another file helps.
    """

    def __init__(self, fault: str, advice: str = "") -> None:
        super().__init__(fault)
        self.advice = advice


def largest_content(path: Path) -> int:
    """How many bytes of weights a file may hold: what is beyond was made to fill memory."""
    return max(ALWAYS_ALLOWED, LARGEST_INFLATION * path.stat().st_size)


def can_be_mapped(path: Path) -> bool:
    """Whether tensors may be used where they lie in the file: every entry is stored as it is, and aligned.

    Raises:
        RefusedArchive: it is not what torch.save writes, not even packed again by another program.
        zipfile.BadZipFile: it is damaged.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        _check(entries, largest_content(path))
        if all(entry.compress_type == zipfile.ZIP_STORED for entry in entries):
            return all(_is_aligned(file, entry) for entry in entries if "/data/" in entry.filename)
        if damaged := archive.testzip():  # torch would not notice
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        return False


def _check(entries: list[zipfile.ZipInfo], largest: int) -> None:
    names = Counter(entry.filename for entry in entries)
    top = next(iter(names), "").partition("/")[0]
    pickled = next((entry for entry in entries if entry.filename == f"{top}/data.pkl"), None)
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        advice = "Unpack it with its password and choose the file inside."
        raise RefusedArchive("is an encrypted zip archive, expected a checkpoint", advice)
    if pickled is None:
        inside = ", ".join(list(names)[:3]) or "nothing"
        advice = "Unpack it and choose the file inside." if names else ""
        raise RefusedArchive(f"is a zip archive of {inside}, expected a checkpoint", advice)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise RefusedArchive(f"holds {doubled[0]} twice, expected every entry once")
    if odd := [entry.compress_type for entry in entries if entry.compress_type not in _METHODS]:
        method = _OTHER_METHODS.get(odd[0], f"method {odd[0]}")
        advice = "Unpack it, and zip what was inside without compression."
        raise RefusedArchive(f"is compressed with {method}, expected a zip archive that PyTorch can read", advice)
    if pickled.file_size > LARGEST_PICKLE:
        found = f"{pickled.file_size:,} bytes of names and shapes"
        raise RefusedArchive(f"holds {found}, expected at most {LARGEST_PICKLE:,}; it was not inflated")
    total = sum(entry.file_size for entry in entries)
    if total > largest:
        raise RefusedArchive(f"inflates to {total:,} bytes, expected at most {largest:,} from its size; it was not inflated")


def _is_aligned(file: BinaryIO, entry: zipfile.ZipInfo) -> bool:
    """Whether an entry's bytes begin where numbers may; its local header, which says so, can differ from the table's."""
    file.seek(entry.header_offset)
    header = file.read(30)
    name, extra = struct.unpack_from("<HH", header, 26)
    return (entry.header_offset + len(header) + name + extra) % _ALIGNMENT == 0
