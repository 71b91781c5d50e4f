"""Files as scanners, phones and attackers make them: read where their pixels are whole, else refused with what to do."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from codeformer_core import image_io
from codeformer_core.image_io import decode, png
from codeformer_core.image_io.metadata import exif_with_size, upright_exif

PIXELS = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
DEEP = PIXELS.astype(np.uint16) * 257
SMOOTH = Image.fromarray(PIXELS).resize((160, 120), Image.Resampling.BICUBIC)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, C) of whole numbers -> (1, C, H, W) in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max).permute(2, 0, 1)[None]


def encoded(kind: str, image: Image.Image = SMOOTH, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(path: Path, data: bytes, page: int | None = None) -> image_io.ImageFile:
    path.write_bytes(data)
    return image_io.read(path, page)


# Memory


def png_header(width: int, height: int, bits: int) -> bytes:
    header = (b"IHDR", struct.pack(">LLBBBBB", width, height, bits, 2, 0, 0, 0))
    return png.join_chunks([header, (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")])


def tiff_header(width: int, height: int, *, bits: int = 16, samples: int = 1, tile: int = 0, data: bytes = b"x") -> bytes:
    """A TIFF file with one directory that promises an image."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 8), (262, 3, 1), (277, 3, samples)]
    entries += [(322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, len(data))] if tile else [(273, 4, 8), (278, 4, height)]
    entries += [] if tile else [(279, 4, len(data))]
    body = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in sorted(entries))
    start = 8 + len(data)
    return b"II*\0" + struct.pack("<L", start) + data + struct.pack("<H", len(entries)) + body + bytes(4)


BOMBS = {
    "a16.tif": tiff_header(60000, 60000),
    "a8.tif": tiff_header(60000, 60000, bits=8),
    "channels.tif": tiff_header(9000, 9000, bits=8, samples=900),
    "deep_channels.tif": tiff_header(9000, 9000, samples=900),
    "tile.tif": tiff_header(16, 16, tile=59984),
    "a8.png": png_header(60000, 60000, 8),
    "a16.png": png_header(60000, 60000, 16),
    "a.bmp": encoded("BMP")[:18] + struct.pack("<ll", 60000, 60000) + encoded("BMP")[26:],
    "a.gif": encoded("GIF")[:6] + struct.pack("<HH", 60000, 60000) + encoded("GIF")[10:],
    "a.tga": encoded("TGA")[:12] + struct.pack("<HH", 60000, 60000) + encoded("TGA")[16:],
    "a.jpg": encoded("JPEG").replace(struct.pack(">HH", 120, 160), struct.pack(">HH", 60000, 60000)),
    "a.avif": encoded("AVIF").replace(struct.pack(">LL", 160, 120), struct.pack(">LL", 60000, 60000)),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", BOMBS)
def test_no_memory_is_taken_for_pixels_that_are_only_promised(tmp_path, name):
    (tmp_path / name).write_bytes(BOMBS[name])
    code = (
        "import resource, sys; from codeformer_core import image_io\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: image_io.read(sys.argv[1])\n"
        "except ValueError as error: print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code, tmp_path / name], capture_output=True, text=True)
    said, megabytes = ran.stdout.splitlines()
    assert said.startswith(name) and int(megabytes) < 100
    assert "more than 178 megapixels" in said or name == "a.avif"  # whose decoder sees that the header is wrong


def test_a_strip_that_holds_far_more_than_its_pixels_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.tif: damaged: a part of it is far larger"):
        read(tmp_path / "a.tif", tiff_header(8, 8, data=bytes(90_000)))


def test_the_limit_is_the_same_where_a_host_has_lifted_pillows(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    for name in ("a8.png", "a.bmp", "a16.tif", "a8.tif"):
        with pytest.raises(ValueError, match=f"{name}: more than 178 megapixels"):
            read(tmp_path / name, BOMBS[name])
    decode.check_size(13_000, 13_000)


# TIFF: thumbnails, masks, pages, kinds of samples


def tiff_of(path: Path, *pages: tuple[np.ndarray, int], **options: object) -> Path:
    """A TIFF file of images and their NewSubfileType."""
    with tifffile.TiffWriter(path) as file:
        for pixels, kind in pages:
            photometric = "mask" if kind & 4 else "rgb" if pixels.ndim == 3 else "minisblack"
            file.write(pixels, photometric=photometric, subfiletype=kind, metadata=None, **options)
    return path


@pytest.mark.parametrize("photo", [PIXELS, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("beside", [(1, PIXELS[::4, ::4]), (4, PIXELS[:, :, 0] > 99), (5, PIXELS[::4, ::4, 0] > 99)])
@pytest.mark.parametrize("first", [True, False])
def test_a_photo_with_a_thumbnail_or_a_mask_is_one_photo(tmp_path, photo, beside, first):
    kind, other = beside
    pages = [(photo, 0), (other, kind)] if first else [(other, kind), (photo, 0)]
    found = image_io.read(tiff_of(tmp_path / "a.tif", *pages))
    assert torch.equal(found.image, tensor(photo))
    assert any("Thumbnails and masks" in notice for notice in found.notices)


def test_the_only_image_is_read_even_if_it_is_called_a_thumbnail(tmp_path):
    assert torch.equal(image_io.read(tiff_of(tmp_path / "a.tif", (PIXELS, 1))).image, tensor(PIXELS))


@pytest.mark.parametrize("photo", [PIXELS, DEEP], ids=["8 bits", "16 bits"])
def test_pages_are_offered_one_by_one(tmp_path, photo):
    path = tiff_of(tmp_path / "a.tif", (photo, 2), (photo[::2, ::2], 1), (photo[::-1], 2), (photo[:, ::-1], 2))
    with pytest.raises(ValueError, match=r"a\.tif: holds 3 images.*--page, 1 to 3"):
        image_io.read(path)
    found = image_io.read(path, page=2)
    assert torch.equal(found.image, tensor(photo[::-1].copy())) and "Page 2 of 3." in found.notices
    for page in (0, 4):
        with pytest.raises(ValueError, match=f"has no page {page}, it holds 3. Choose --page 1 to 3"):
            image_io.read(path, page)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_image_of_an_animation_can_be_chosen(tmp_path, kind):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    data = encoded(kind, frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"holds 3 images.*--page"):
        read(tmp_path / "a", data)
    assert read(tmp_path / "a", data, page=2).image.mean((0, 2, 3)).tolist() == pytest.approx([0, 1, 0], abs=0.03)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u4"])
@pytest.mark.parametrize("shape", [(13, 17), (13, 17, 3)])
def test_floating_point_and_long_samples_become_sixteen_bits(tmp_path, dtype, shape):
    values = np.random.default_rng(0).random(shape)
    stored = (values * (2**32 - 1)).astype("u4") if dtype == "u4" else values.astype(dtype)
    found = image_io.read(tiff_of(tmp_path / "a.tif", (stored, 0)))
    expected = np.broadcast_to(values[..., None] if values.ndim == 2 else values, (13, 17, 3))
    assert np.allclose(found.image[0].permute(1, 2, 0), expected, atol=1e-3 if dtype == "f2" else 1e-5)
    assert found.bits == 16 and "rounded to 16" in found.notices[0]


def test_floats_beyond_white_are_cut_with_a_notice_and_not_finite_ones_refused(tmp_path):
    values = np.linspace(-1, 3, 12, dtype=np.float32).reshape(3, 4)
    found = image_io.read(tiff_of(tmp_path / "a.tif", (values, 0)))
    assert float(found.image.max()) == 1 and "Values from -1 to 3 were cut" in found.notices[1]
    values[0, 0] = np.nan
    with pytest.raises(ValueError, match="values that are not finite"):
        image_io.read(tiff_of(tmp_path / "b.tif", (values, 0)))


def test_cmyk_of_sixteen_bits_is_read(tmp_path):
    inks = np.zeros((4, 5, 4), np.uint16)
    inks[..., 1:3] = 65535
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated", planarconfig="contig", metadata=None)
    found = image_io.read(tmp_path / "a.tif")
    assert found.image.mean((0, 2, 3)).tolist() == pytest.approx([1, 0, 0], abs=0.02)
    assert any("rounded to 8" in notice for notice in found.notices)


def test_compressions_of_deep_files_that_need_imagecodecs(tmp_path):
    pytest.importorskip("imagecodecs", reason="an extra")
    for name in ("lzw", "zstd", "lerc"):
        path = tiff_of(tmp_path / f"{name}.tif", (PIXELS.astype(np.float32) / 255, 0), compression=name)
        assert torch.allclose(image_io.read(path).image, tensor(PIXELS), atol=1e-4)


# Damage beside the pixels


def with_wrong_checksum(kind: bytes) -> bytes:
    """A PNG file with a chunk of this kind before its pixels, whose checksum is wrong."""
    chunks, _ = png.sound_chunks(encoded("PNG"))
    bad = struct.pack(">L", 4) + kind + b"abcd" + b"\0\0\0\0"
    return png.join_chunks(chunks[:1]) + bad + png.join_chunks(chunks[1:])[len(png.SIGNATURE) :]


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"pHYs", b"eXIf", b"gAMA", b"tIME", b"prVt"])
def test_a_png_file_with_a_damaged_note_is_read_with_a_notice(tmp_path, kind):
    found = read(tmp_path / "a.png", with_wrong_checksum(kind))
    assert torch.equal(found.image, tensor(np.asarray(SMOOTH)))
    assert "damaged" in found.notices[0]
    image_io.write(found, tmp_path / "b.png")
    assert image_io.read(tmp_path / "b.png").notices == ()


@pytest.mark.parametrize("kind", [b"iCCP", b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"gAMA", b"cHRM", b"sRGB", b"tIME"])
def test_a_png_file_with_nonsense_in_a_note_is_read(tmp_path, kind):
    chunks, _ = png.sound_chunks(encoded("PNG"))
    found = read(tmp_path / "a.png", png.join_chunks([chunks[0], (kind, b"ab"), *chunks[1:]]))
    assert torch.equal(found.image, tensor(np.asarray(SMOOTH)))


def test_a_large_profile_and_long_texts_of_a_png_file_are_kept(tmp_path):
    profile = np.random.default_rng(0).bytes(10**7)
    text = (b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2 * 10**6)))
    chunks, _ = png.sound_chunks(encoded("PNG"))
    data = png.join_chunks([chunks[0], (b"iCCP", b"big\0\0" + zlib.compress(profile)), text, *chunks[1:]])
    found = read(tmp_path / "a.png", data)
    assert found.icc == profile and found.chunks == (text,) and found.notices == ()


def test_a_png_file_without_its_end_is_read_and_one_with_damaged_pixels_is_not(tmp_path):
    data = encoded("PNG")
    for cut in (3, 8, 12):
        found = read(tmp_path / "a.png", data[:-cut])
        assert torch.equal(found.image, tensor(np.asarray(SMOOTH))), cut
    assert "cut off behind its pixels" in image_io.read(tmp_path / "a.png").notices[0]
    at = data.index(b"IDAT") + 100
    with pytest.raises(ValueError, match=r"a\.png: damaged: its pixels are wrong"):
        read(tmp_path / "a.png", data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_file_without_its_end_marker_is_read_and_one_that_lacks_pixels_is_not(tmp_path, mode, progressive):
    whole = encoded("JPEG", SMOOTH.convert(mode), quality=90, progressive=progressive)
    expected = read(tmp_path / "a.jpg", whole)
    for cut in (1, 2):
        found = read(tmp_path / "a.jpg", whole[:-cut])
        assert torch.equal(found.image, expected.image)
    assert mode == "L" or "no end marker" in found.notices[0]  # Pillow reads some grey ones as they are
    for cut in (5, 9, 40, 700, len(whole) - 700):
        with pytest.raises(ValueError, match="cut off|damaged"):
            read(tmp_path / "a.jpg", whole[:-cut])


# Other names, other formats


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TGA", "AVIF", "TIFF"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".heic", ".jfif", ""])
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path, kind, suffix):
    found = read(tmp_path / f"a{suffix}", encoded(kind))
    assert (found.image - tensor(np.asarray(SMOOTH))).abs().mean() < 0.06  # GIF has 256 colours
    right = {"PNG": (".png", ""), "JPEG": (".jpg", ".jfif", "")}.get(kind, ("",))
    assert any(f"format {kind}, whatever its name" in notice for notice in found.notices) == (suffix not in right)


def test_heic_is_read_upright_with_its_exif_where_pillow_heif_is_installed(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="an extra")
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    file = io.BytesIO()
    heif.from_pillow(SMOOTH).save(file, quality=90, exif=exif.tobytes())
    found = read(tmp_path / "a.jpg", file.getvalue())
    assert found.image.shape[2:] == (160, 120) and found.exif and b"Maker" in found.exif


WRONG = {
    "is empty": b"",
    "is a PNG image. It is cut off": b"\x89PNG",
    "is damaged": b"\xff\xd8\xff\xe0\0\x10JF",
    "is a web page": b"<!DOCTYPE html><html>",
    "is an SVG drawing": b'<?xml version="1.0"?><svg>',
    "is a PDF document": b"%PDF-1.7",
    "is a JPEG XL image": b"\xff\x0a\0\0",
    "is a Photoshop document": b"8BPS\0\1",
    "is an OpenEXR image": b"\x76\x2f\x31\x01\2",
    "is a Radiance HDR image": b"#?RADIANCE\n",
    "is a raw photo": b"\0\0\0\x18ftypcrx \0\0\0\1",
    "is a video": b"\0\0\0\x18ftypmp42\0\0\0\1",
    "is a HEIC image": b"\0\0\0\x18ftypheic\0\0\0\1",
    "is an AVIF image": b"\0\0\0\x18ftypavif\0\0\0\1",
    "is not an image that can be read": b"plain text",
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be_read_is_named_for_what_it_is(tmp_path, said):
    with pytest.raises(ValueError, match=f"photo.png:? {said}"):
        read(tmp_path / "photo.png", WRONG[said])


# Exif and XMP


def exif_of(kind: int, orientation: int, order: str) -> bytes:
    """Exif data with an orientation of a type, and with sizes in both of its directories."""
    number = {1: "B3x", 3: "H2x", 4: "L", 8: "h2x", 9: "l"}[kind]
    first = [struct.pack(f"{order}HHLL", 0x0100, 4, 1, 160), struct.pack(f"{order}HHL{number}", 0x0112, kind, 1, orientation)]
    first += [struct.pack(f"{order}HHLL", 0x8769, 4, 1, 8 + 2 + 3 * 12 + 4)]
    second = [struct.pack(f"{order}HHLH2x", tag, 3, 1, size) for tag, size in ((0xA002, 160), (0xA003, 120))]
    directories = [struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4) for entries in (first, second)]
    return {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}L", 8) + b"".join(directories)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4, 8, 9])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_an_orientation_of_any_type_of_whole_number_counts(tmp_path, kind, order, suffix):
    SMOOTH.save(tmp_path / f"a{suffix}", exif=b"Exif\0\0" + exif_of(kind, 6, order))
    found = image_io.read(tmp_path / f"a{suffix}")
    assert found.image.shape[2:] == (160, 120)
    image_io.write(found, tmp_path / f"b{suffix}")
    assert image_io.read(tmp_path / f"b{suffix}").image.shape[2:] == (160, 120)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_and_xmp_say_the_size_of_the_result(tmp_path, suffix, order):
    xmp = b"<x:xmpmeta><rdf:Description tiff:ImageWidth=\"160\" exif:PixelYDimension='120'/></x:xmpmeta>"
    image = torch.zeros(1, 3, 240, 320)
    image_io.write(image_io.ImageFile(image, exif=exif_of(3, 1, order), xmp=xmp), tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as file:
        exif = file.getexif()
        assert exif.get(0x0100, 320) == 320
        assert {0xA002: 320, 0xA003: 240}.items() <= dict(exif.get_ifd(0x8769)).items()
    assert image_io.read(tmp_path / f"a{suffix}").xmp == xmp.replace(b"160", b"320").replace(b"120", b"240")


def test_exif_that_points_nowhere_stays_as_it_was():
    exif = exif_of(3, 1, "<").replace(struct.pack("<HHLL", 0x8769, 4, 1, 50), struct.pack("<HHLL", 0x8769, 4, 1, 10**9))
    assert exif_with_size(exif, 7, 8) == exif and exif_with_size(b"nonsense", 7, 8) == b"nonsense"
    assert upright_exif(exif)[1] == 1


def test_exif_of_a_camera_keeps_every_other_byte():
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05", 0x829A: IFDRational(1, 50), 0x927C: b"notes", 0xA002: 70_000, 0xA003: 9}
    whole = exif.tobytes().removeprefix(b"Exif\0\0")
    changed = exif_with_size(whole, 70_001, 8)
    assert len(changed) == len(whole) and sum(a != b for a, b in zip(changed, whole, strict=True)) <= 4
