"""An image file that is read and written again keeps its pixels, bit depth, transparency and metadata."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import PIL
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from codeformer_core import image_io
from codeformer_core.image_io import decode

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSLESS = [".png", ".webp", ".tif", ".tiff"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def noise(channels: int, bits: int = 8, size: tuple[int, int] = (13, 17)) -> np.ndarray:
    """(H, W, C) of seeded noise; H and W are odd and differ."""
    kind = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(channels).integers(0, 2**bits, (*size, channels), dtype=kind)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, C) of whole numbers -> (1, C, H, W) in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max).permute(2, 0, 1)[None]


def noise_file(channels: int, bits: int = 8, **metadata: object) -> image_io.ImageFile:
    """An image of noise with 1 to 4 channels."""
    planes = tensor(noise(channels, bits))
    colours = 3 if channels > 2 else 1
    alpha = planes[:, colours:] if channels in (2, 4) else None
    return image_io.ImageFile(planes[:, :colours].expand(1, 3, -1, -1), alpha, bits, grey=colours == 1, **metadata)


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05", 0x829A: IFDRational(1, 50), 0x927C: b"notes of the maker"}
    exif[0x8825] = {1: "N", 2: (47.0, 3.0, 2.5)}
    return exif


def assert_same(found: image_io.ImageFile, expected: image_io.ImageFile) -> None:
    assert torch.equal(found.image, expected.image)
    assert (found.alpha is None) == (expected.alpha is None)
    assert found.alpha is None or expected.alpha is None or torch.equal(found.alpha, expected.alpha)
    assert (found.bits, found.grey, found.icc) == (expected.bits, expected.grey, expected.icc)


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_eight_bits_round_trip_exactly(tmp_path: Path, suffix: str, channels: int) -> None:
    source = noise_file(channels, icc=None if channels < 3 else SRGB)
    assert image_io.write(source, tmp_path / f"a{suffix}") == ()
    found = image_io.read(tmp_path / f"a{suffix}")
    assert torch.equal(found.image, source.image)
    assert found.alpha is None if source.alpha is None else torch.equal(found.alpha, source.alpha)
    assert (found.bits, found.icc) == (8, source.icc)
    assert found.grey == (source.grey and suffix != ".webp")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_round_trip_exactly(tmp_path: Path, suffix: str, channels: int) -> None:
    source = noise_file(channels, 16, icc=SRGB)
    assert image_io.write(source, tmp_path / f"a{suffix}") == ()
    assert_same(image_io.read(tmp_path / f"a{suffix}"), source)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_other_programs_read_our_sixteen_bit_files(tmp_path: Path, channels: int) -> None:
    pixels = noise(channels, 16)
    image_io.write(noise_file(channels, 16, icc=SRGB, dpi=(300.0, 300.0)), tmp_path / "a.png")
    image_io.write(noise_file(channels, 16, icc=SRGB, dpi=(300.0, 300.0)), tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        by_opencv = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED).reshape(*pixels.shape[:2], -1)
        assert np.array_equal(by_opencv[:, :, [2, 1, 0, 3][:channels] if channels > 1 else [0]], pixels)
        with Image.open(tmp_path / name) as by_pillow:
            assert by_pillow.info["icc_profile"] == SRGB
            assert by_pillow.info["dpi"] == pytest.approx((300, 300), abs=0.01)
            by_pillow.load()
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif").reshape(pixels.shape), pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_files_of_other_programs_are_read(tmp_path: Path, channels: int) -> None:
    pixels = noise(channels, 16)
    stored = pixels[:, :, [2, 1, 0, 3][:channels]] if channels > 1 else pixels
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", stored)[1].tobytes())
    (tmp_path / "lzw.tif").write_bytes(cv2.imencode(".tif", stored)[1].tobytes())
    kind = {"photometric": "rgb" if channels > 1 else "minisblack", "extrasamples": ["unassalpha"] if channels == 4 else None}
    tifffile.imwrite(tmp_path / "plain.tif", pixels if channels > 1 else pixels[:, :, 0], byteorder=">", **kind)
    planes = np.moveaxis(pixels, 2, 0) if channels > 1 else pixels[:, :, 0]
    tifffile.imwrite(tmp_path / "planes.tif", planes, planarconfig="separate" if channels > 1 else None, **kind)
    for name in ("a.png", "lzw.tif", "plain.tif", "planes.tif"):
        found = image_io.read(tmp_path / name)
        assert found.bits == 16 and found.grey == (channels == 1), name
        assert torch.equal(found.image, tensor(pixels)[:, :3].expand(1, 3, -1, -1)), name
        assert found.alpha is None or torch.equal(found.alpha, tensor(pixels)[:, 3:]), name
        assert (found.alpha is not None) == (channels == 4), name


def test_tiff_files_with_white_as_zero_and_with_premultiplied_alpha_are_read(tmp_path: Path) -> None:
    grey = noise(1, 16)[:, :, 0]
    tifffile.imwrite(tmp_path / "white.tif", 65535 - grey, photometric="miniswhite")
    assert torch.equal(image_io.read(tmp_path / "white.tif").image[:, :1], tensor(grey[:, :, None]))
    pixels = np.full((4, 5, 4), 20000, np.uint16)
    pixels[..., 3] = 40000
    pixels[0] = 0
    tifffile.imwrite(tmp_path / "multiplied.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    found = image_io.read(tmp_path / "multiplied.tif")
    assert found.image[0, 0, 1, 0].item() == pytest.approx(0.5, abs=1e-4)
    assert found.image[0, :, 0].max() == 0


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_and_reset(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = Image.fromarray(cv2.resize(noise(3, size=(4, 6)), (36, 24), interpolation=cv2.INTER_NEAREST))
    stored.save(
        tmp_path / f"a{suffix}", exif=exif_of(orientation).tobytes(), **({"lossless": True} if suffix == ".webp" else {})
    )
    with Image.open(tmp_path / f"a{suffix}") as image:
        image.load()  # some versions of Pillow turn a TIFF file here
        expected = ImageOps.exif_transpose(image)
    found = image_io.read(tmp_path / f"a{suffix}")
    assert torch.equal(found.image, tensor(np.asarray(expected)))
    image_io.write(found, tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as image:
        exif = image.getexif()
        assert exif.get(0x0112, 1) == 1
        assert exif[0x010F] == "Maker"
        assert exif.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert exif.get_ifd(0x8769)[0x829A] == pytest.approx(0.02)
        assert tuple(exif.get_ifd(0x8825)[2]) == (47, 3, 2.5)
    assert image_io.read(tmp_path / f"b{suffix}").image.shape == found.image.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_sixteen_bit_files_is_applied(tmp_path: Path, orientation: int) -> None:
    pixels = noise(3, 16)
    as_eight_bits = Image.fromarray((pixels >> 8).astype(np.uint8))
    as_eight_bits.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(as_eight_bits))
    tag = [(0x0112, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", metadata=None, extratags=tag)
    exif = exif_of(orientation).tobytes().removeprefix(b"Exif\0\0")
    image_io.write(noise_file(3, 16, exif=exif), tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        found = image_io.read(tmp_path / name)
        assert np.array_equal((found.image[0].permute(1, 2, 0) * 65535).round().numpy().astype(np.uint16) >> 8, upright), name


def test_exif_goes_from_a_sixteen_bit_tiff_to_a_sixteen_bit_tiff(tmp_path: Path) -> None:
    exif = exif_of(1).tobytes().removeprefix(b"Exif\0\0")
    image_io.write(noise_file(3, 16, exif=exif, xmp=XMP, dpi=(240.0, 120.0)), tmp_path / "a.tif")
    found = image_io.read(tmp_path / "a.tif")
    image_io.write(found, tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        tags = file.pages.first.tags
        assert tags["ExifTag"].value["DateTimeOriginal"] == "2020:01:02 03:04:05"
        assert tags["ExifTag"].value["MakerNote"] == b"notes of the maker"
        assert tags["GPSTag"].value["GPSLatitudeRef"] == "N"
        assert tags["Make"].value == "Maker"
    assert image_io.read(tmp_path / "b.tif").dpi == (240.0, 120.0)
    assert_same(image_io.read(tmp_path / "b.tif"), noise_file(3, 16))


def test_exif_is_kept_byte_for_byte_but_for_orientation_and_thumbnail(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    Image.new("RGB", (8, 8)).save(thumbnail, "JPEG")
    exif = exif_of(6)
    whole = exif.tobytes()
    Image.fromarray(noise(3)).save(tmp_path / "a.jpg", exif=whole)
    found = image_io.read(tmp_path / "a.jpg").exif
    assert found is not None and len(found) == len(whole) - 6
    assert sum(a != b for a, b in zip(found, whole[6:], strict=True)) == 1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_left_out_with_a_notice(tmp_path: Path) -> None:
    Image.fromarray(noise(3)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x00")
    found = image_io.read(tmp_path / "a.jpg")
    assert found.exif is None
    assert "Exif" in found.notices[0]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_xmp_and_its_orientation(tmp_path: Path, suffix: str) -> None:
    if suffix == ".jpg" and int(PIL.__version__.split(".")[0]) < 11:
        pytest.skip("needs Pillow 11 for XMP in JPEG files")
    image_io.write(noise_file(3, xmp=XMP), tmp_path / f"a{suffix}")
    found = image_io.read(tmp_path / f"a{suffix}")
    assert found.xmp == XMP.replace(b'"6"', b'"1"')


def test_png_text_is_kept_before_and_after_the_pixels(tmp_path: Path) -> None:
    text = PngInfo()
    text.add_text("workflow", '{"nodes": []}')
    text.add_itxt("prompt", "ünïcode", zip=True)
    text.add(b"tEXt", b"late\0after", after_idat=True)
    Image.fromarray(noise(3)).save(tmp_path / "a.png", pnginfo=text)
    image_io.write(image_io.read(tmp_path / "a.png"), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        assert image.info["workflow"] == '{"nodes": []}'
        assert image.info["prompt"] == "ünïcode"
        assert image.info["late"] == "after"
    assert any("PNG text" in lost for lost in image_io.write(image_io.read(tmp_path / "a.png"), tmp_path / "b.jpg"))


@pytest.mark.parametrize("mode", ["1", "P", "PA", "LA", "L", "RGBA", "CMYK", "LAB"])
def test_every_eight_bit_mode_is_read_as_pillow_converts_it(tmp_path: Path, mode: str) -> None:
    smooth = cv2.resize(noise(3, size=(4, 6)), (36, 24))
    image = Image.fromarray(smooth)
    if mode == "LAB":
        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = image.convert("LA").convert(mode) if mode == "PA" else image.convert(mode)
    image.save(tmp_path / "a.tif")
    found = image_io.read(tmp_path / "a.tif")
    expected = smooth if mode == "LAB" else np.asarray(image.convert("RGB"))
    assert (found.image - tensor(expected)).abs().mean() < (4 if mode == "LAB" else 0.01) / 255  # Lab has coarse steps
    assert found.grey == (mode in ("1", "L", "LA"))
    assert (found.alpha is not None) == (mode in ("PA", "LA", "RGBA"))
    assert bool(found.notices) == (mode in ("CMYK", "LAB"))


@pytest.mark.parametrize(("mode", "channels"), [("YCbCr", 3), ("RGBX", 4), ("RGBa", 4), ("La", 2)])
def test_rare_modes_are_converted(mode: str, channels: int) -> None:
    image = Image.new("RGBA", (4, 5), (200, 100, 50, 255))
    image = image.convert("LA" if mode == "La" else "RGBA" if mode == "RGBa" else "RGB").convert(mode)
    assert decode.decode_pillow(image).pixels.shape == (5, 4, channels)
    assert decode.decode_pillow(image).pixels[0, 0, 0] == pytest.approx(124 if mode == "La" else 200, abs=2)


def test_a_transparent_colour_becomes_alpha(tmp_path: Path) -> None:
    palette = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3).convert("P")
    palette.save(tmp_path / "palette.png", transparency=1)
    grey = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3)
    grey.save(tmp_path / "grey.png", transparency=1)
    deep = Image.fromarray((np.arange(12).reshape(3, 4) % 3).astype(np.uint16))
    deep.save(tmp_path / "deep.png", transparency=1)
    black = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3 != 1)
    black.save(tmp_path / "black.png", transparency=0)
    for name in ("palette", "grey", "deep", "black"):
        alpha = image_io.read(tmp_path / f"{name}.png").alpha
        assert alpha is not None, name
        assert torch.equal(alpha.flatten() == 0, torch.arange(12) % 3 == 1), name


def test_cmyk_is_converted_through_its_profile(tmp_path: Path) -> None:
    # There is no CMYK profile to be made without a file: a damaged one must give the plain formula and a word about it.
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", icc_profile=b"no profile")
    found = image_io.read(tmp_path / "a.jpg")
    assert found.icc is None
    assert "cannot be used" in found.notices[0]
    assert found.image[0, :, 4, 4].tolist() == pytest.approx([1, 0, 0], abs=0.02)


def test_file_names_in_any_script_and_case(tmp_path: Path) -> None:
    folder = tmp_path / "Ünï 写真"
    folder.mkdir()
    for name in ("ä.PNG", "写真.Tif", "é.JPG"):
        source = noise_file(3, 16)
        image_io.write(source, folder / name)
        assert image_io.read(folder / name).image.shape == source.image.shape


def test_jpeg_has_high_quality_and_full_chroma_resolution(tmp_path: Path) -> None:
    smooth = cv2.resize(noise(3, size=(4, 6)), (360, 240), interpolation=cv2.INTER_CUBIC)
    image_io.write(image_io.ImageFile(tensor(smooth), icc=SRGB), tmp_path / "a.jpg")
    found = image_io.read(tmp_path / "a.jpg")
    assert (found.image - tensor(smooth)).abs().mean() < 1.5 / 255
    assert found.icc == SRGB and not found.lossless
    with Image.open(tmp_path / "a.jpg") as image:
        assert all(layer[1:3] == (1, 1) for layer in image.layer)


def test_a_lossy_webp_stays_lossy(tmp_path: Path) -> None:
    Image.fromarray(noise(3, size=(64, 64))).save(tmp_path / "lossy.webp", quality=60)
    Image.fromarray(noise(4, size=(64, 64))).save(tmp_path / "lossless.webp", lossless=True)
    assert not image_io.read(tmp_path / "lossy.webp").lossless
    assert image_io.read(tmp_path / "lossless.webp").lossless
    image_io.write(image_io.read(tmp_path / "lossy.webp"), tmp_path / "again.webp")
    assert not image_io.read(tmp_path / "again.webp").lossless


def test_bmp_keeps_pixels_and_reports_the_lost_profile(tmp_path: Path) -> None:
    source = noise_file(3, icc=SRGB)
    assert any("colour profile" in lost for lost in image_io.write(source, tmp_path / "a.bmp"))
    assert torch.equal(image_io.read(tmp_path / "a.bmp").image, source.image)


def test_transparency_is_never_dropped_silently(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="transparency"):
        image_io.write(noise_file(4), tmp_path / "a.jpg")
    assert not image_io.can_hold(Path("a.jpg"), noise_file(4)) and image_io.can_hold(Path("a.png"), noise_file(4))
    opaque = noise_file(3)
    image_io.write(image_io.ImageFile(opaque.image, torch.ones_like(opaque.image[:, :1])), tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").exists()


def test_rounding_sixteen_bits_to_eight_is_reported(tmp_path: Path) -> None:
    assert "rounded" in image_io.write(noise_file(3, 16), tmp_path / "a.webp")[0]
    found, expected = image_io.read(tmp_path / "a.webp"), noise_file(3, 16).image
    assert (found.image - expected).abs().max() <= 0.5001 / 255
    assert not image_io.can_hold(Path("a.jpg"), noise_file(3, 16)) and image_io.can_hold(Path("a.TIFF"), noise_file(3, 16))


def test_a_grey_profile_is_not_written_to_a_colour_file(tmp_path: Path) -> None:
    assert any("colour profile" in lost for lost in image_io.write(noise_file(1, icc=b"grey profile"), tmp_path / "a.webp"))


def test_exif_too_large_for_a_jpeg_is_left_out_with_a_notice(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    lost = image_io.write(noise_file(3, exif=exif.tobytes()[6:]), tmp_path / "a.jpg")
    assert any("Exif" in sentence for sentence in lost)


def test_colours_in_a_grey_image_are_written_as_luma(tmp_path: Path) -> None:
    red = torch.zeros(1, 3, 4, 5)
    red[:, 0] = 1
    image_io.write(image_io.ImageFile(red, grey=True), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L" and image.getpixel((0, 0)) == round(0.299 * 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_every_value_survives_the_conversion_to_float_and_luma(tmp_path: Path, bits: int) -> None:
    ramp = np.arange(2**bits, dtype=np.uint8 if bits == 8 else np.uint16).reshape(2 ** (bits // 2), -1, 1)
    image_io.write(image_io.ImageFile(tensor(ramp).expand(1, 3, -1, -1), bits=bits, grey=True), tmp_path / "a.png")
    assert torch.equal(image_io.read(tmp_path / "a.png").image[:, :1], tensor(ramp))
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), ramp[:, :, 0])


def test_an_existing_file_is_left_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"a\.png"):
        image_io.write(noise_file(3), target)
    assert target.read_bytes() == b"precious"
    image_io.write(noise_file(3), target, overwrite=True)
    assert image_io.read(target).bits == 8
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("links", [True, False])
def test_a_name_taken_at_the_last_moment_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    target = tmp_path / "a.png"
    link = os.link

    def late(source: Path, name: Path) -> None:
        target.write_bytes(b"of another program")
        if not links:
            raise OSError("no hard links here")
        link(source, name)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(FileExistsError):
        image_io.write(noise_file(3), target)
    assert target.read_bytes() == b"of another program"
    assert os.listdir(tmp_path) == ["a.png"]


def test_files_are_written_without_hard_links_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, name: Path) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    image_io.write(noise_file(3), tmp_path / "a.png")
    assert os.listdir(tmp_path) == ["a.png"]
    assert torch.equal(image_io.read(tmp_path / "a.png").image, noise_file(3).image)


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, name: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        image_io.write(noise_file(3), tmp_path / "a.png", overwrite=True)
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space"):
        image_io.write(noise_file(3), tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


def animation(path: Path) -> None:
    frames = [Image.fromarray(noise(3, size=(8, 8))), Image.new("RGB", (8, 8))]
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("suffix", [".webp", ".tif", ".png"])
def test_animations_and_pages_are_refused(tmp_path: Path, suffix: str) -> None:
    animation(tmp_path / f"a{suffix}")
    with pytest.raises(ValueError, match=r"a\..*2 images"):
        image_io.read(tmp_path / f"a{suffix}")


def test_the_first_image_of_an_mpo_file_is_read_with_a_notice(tmp_path: Path) -> None:
    first = Image.fromarray(noise(3, size=(16, 16)))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    found = image_io.read(tmp_path / "a.jpg")
    assert found.image.shape[-2:] == (16, 16)
    assert "first of the file's 2" in found.notices[0]


def test_formats_that_are_not_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.gif does not end"):
        image_io.write(noise_file(3), tmp_path / "a.gif")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".bmp"])
def test_a_file_truncated_anywhere_is_refused(tmp_path: Path, suffix: str, bits: int) -> None:
    image_io.write(noise_file(3, bits, icc=SRGB), tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    for end in range(0, len(data) - 12, 97):
        (tmp_path / f"b{suffix}").write_bytes(data[:end])
        with pytest.raises(ValueError, match="^b"):
            image_io.read(tmp_path / f"b{suffix}")


def test_too_many_pixels_are_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (20000, 9500)).save(path)
    with pytest.raises(ValueError, match=r"huge\.png: more than 178 megapixels.*cut it into parts"):
        image_io.read(path)
