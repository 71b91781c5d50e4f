"""An image of any kind in one call, as the README shows it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from known_faces import KnownFaces
from PIL import Image

import codeformer_core
from codeformer_core import fix, fix_faces, load
from codeformer_core.networks.precision import CHOICES, PRECISIONS, suited
from codeformer_core.networks.retinaface import RetinaFace
from codeformer_core.options import FixOptions

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def networks(tiny_checkpoint):
    return KnownFaces(), load(tiny_checkpoint)


@pytest.fixture(scope="module")
def portrait(data):
    with Image.open(data / "photos" / "astronaut_1face.png") as image:
        return image.convert("RGB").resize((160, 160))


@pytest.fixture(scope="module")
def expected(networks, portrait):
    """(160, 160, 3) float: what the pipeline makes of it."""
    images = torch.from_numpy(np.array(portrait)).permute(2, 0, 1)[None] / 255
    fixed = fix_faces(images, *networks, FixOptions(fidelity=0.7))
    assert len(fixed.aligned) == 1
    return fixed.images[0].permute(1, 2, 0).numpy()


KINDS = {
    "PIL RGB": lambda image: image,
    "PIL RGBA": lambda image: Image.merge("RGBA", (*image.split(), image.convert("L"))),
    "uint8": np.asarray,
    "uint8 with alpha": lambda image: np.dstack([np.asarray(image), np.asarray(image)[..., 0]]),
    "uint16": lambda image: np.asarray(image).astype(np.uint16) * 257,
    "float64": lambda image: np.asarray(image) / 255,
    "batch": lambda image: np.asarray(image)[None],
    "tensor": lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255,
    "tensor batch": lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].double() / 255,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_image_is_returned_as_the_same_kind(networks, portrait, expected, kind):
    image = KINDS[kind](portrait)
    before = image.copy() if not isinstance(image, torch.Tensor) else image.clone()
    result = fix(image, *networks, FixOptions(fidelity=0.7))
    assert type(result) is type(image)
    found, given, kept = (np.asarray(value) for value in (result, image, before))
    assert found.dtype == given.dtype and found.shape == given.shape and np.array_equal(given, kept)
    if "tensor" in kind:
        found, given = np.moveaxis(found, -3, -1), np.moveaxis(given, -3, -1)
    found, given = found.reshape(-1, *found.shape[-3:])[0], given.reshape(-1, *given.shape[-3:])[0]
    most = 1 if found.dtype.kind == "f" else np.iinfo(found.dtype).max
    assert np.abs(found[..., :3] / most - expected).max() <= (0.51 / most if most > 1 else 1e-6)
    assert np.array_equal(found[..., 3:], given[..., 3:])


def test_a_greyscale_image_stays_greyscale(networks, portrait):
    result = fix(portrait.convert("L"), *networks)
    assert result.mode == "L" and np.asarray(result).std() > 0
    array = np.asarray(portrait.convert("L"))
    assert fix(array, *networks).shape == array.shape


def test_an_exif_rotation_is_applied(networks, portrait):
    turned = portrait.rotate(90, expand=True)  # counter-clockwise; 6 asks for clockwise
    turned.getexif()[0x0112] = 6
    result = fix(turned, *networks)
    assert np.abs(np.asarray(result).astype(int) - np.asarray(fix(portrait, *networks)).astype(int)).max() == 0


def test_upscale_enlarges_the_image(networks, portrait):
    assert fix(portrait, *networks, FixOptions(upscale=2)).size == (320, 320)


def test_colour_profile_and_resolution_are_kept(networks, portrait):
    image = portrait.copy()
    image.info = {"icc_profile": b"wide", "dpi": (300, 300), "transparency": 7}
    assert fix(image, *networks).info == {"icc_profile": b"wide", "dpi": (300, 300)}


@pytest.mark.parametrize("size", [32, 160])
def test_the_result_shares_no_memory_with_the_input(networks, portrait, size):
    image = KINDS["tensor"](portrait.resize((size, size)))
    result = fix(image, *networks)
    assert result.data_ptr() != image.data_ptr()
    result.mul_(2)


def test_networks_on_two_devices_are_refused(networks, portrait, tmp_path):
    blind = {name: torch.zeros(value.shape) for name, value in RetinaFace(resnet=False).state_dict().items()}
    torch.save(blind, tmp_path / "detector.pth")
    detector = load(tmp_path / "detector.pth", "meta")
    with pytest.raises(ValueError, match="Found networks on cpu and meta. Expected one device"):
        fix(portrait, detector, networks[1])


def test_load_applies_the_precision(tiny_checkpoint):
    for choice in CHOICES:
        assert load(tiny_checkpoint, precision=choice).precision == PRECISIONS[suited(choice, torch.device("cpu"))]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("photo.jpg", "PIL image, a NumPy array or a torch tensor"),
        (np.zeros((4, 4), np.int32), "uint8, uint16"),
        (np.zeros((4, 4, 2), np.uint8), r"\(H, W, 3 or 4\)"),
        (np.full((4, 4, 3), 200.0), r"\[0, 1\]"),
        (torch.zeros(5, 4, 3), r"\(3 or 4, H, W\)"),
        (Image.new("CMYK", (4, 4)), "convert"),
        (Image.new("F", (4, 4)), "array of floats"),
    ],
)
def test_unsupported_images_are_refused(networks, wrong, words):
    with pytest.raises((TypeError, ValueError), match=words):
        fix(wrong, *networks)


@pytest.mark.parametrize(("mode", "returned"), [("1", "L"), ("P", "RGB"), ("I;16", "I;16")])
def test_other_modes_of_pil_are_fixed_in_the_nearest_one(networks, portrait, mode, returned):
    deep = np.asarray(portrait.convert("L")).astype(np.uint16) * 257
    image = Image.fromarray(deep) if mode == "I;16" else portrait.convert(mode)
    result = fix(image, *networks, FixOptions(always=True))
    assert result.mode == returned and result.size == image.size
    changed = not np.array_equal(np.asarray(result), np.asarray(image.convert(returned)))
    assert changed == (mode != "1")  # in whose dither no face is found


def test_a_palette_with_transparency_keeps_it(networks, portrait):
    image = portrait.convert("P")
    image.info["transparency"] = 0
    result = fix(image, *networks)
    assert result.mode == "RGBA" and np.array_equal(np.asarray(result)[..., 3], np.asarray(image.convert("RGBA"))[..., 3])


def test_metadata_and_texts_of_a_pil_image_are_kept(networks, portrait):
    image = portrait.copy()
    image.info = {"xmp": b"<x/>", "dpi": (300, 300), "parameters": "a portrait, 20 steps", "transparency": (1, 2, 3)}
    info = fix(image, *networks).info
    assert info == {"xmp": b"<x/>", "dpi": (300, 300), "parameters": "a portrait, 20 steps"}


def test_swapped_networks_are_named(networks, portrait):
    with pytest.raises(TypeError, match=r"as the detector. Expected fix\(image, detector, restorer\)"):
        fix(portrait, *reversed(networks))


def test_a_missing_model_is_not_fetched_and_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("CODEFORMER_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="codeformer models fetch codeformer-colorization"):
        load("codeformer-colorization")
    with pytest.raises(FileNotFoundError, match="nonsense"):
        load("nonsense")


def test_the_readme_restores_an_image_in_four_lines_with_nothing_fetched(data, tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = next(code for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "fix, load" in code)
    assert len([line for line in block.splitlines() if line]) == 4
    with Image.open(data / "photos" / "astronaut_1face.png") as image:
        image.convert("RGB").resize((200, 200)).save(tmp_path / "photo.jpg")
    monkeypatch.delenv("CODEFORMER_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    with Image.open(tmp_path / "fixed.png") as fixed:
        assert fixed.size == (200, 200)


def test_the_examples_of_the_page_on_python_run_one_after_the_other(data, tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    with Image.open(data / "photos" / "astronaut_1face.png") as image:
        image.convert("RGB").resize((200, 200)).save(tmp_path / "photo.jpg")
    shutil.copy(data / "video" / "lp_d20_480sq_audio.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), "python.md", "exec"), {})
    for name in ("fixed.png", "fixed.jpg", "fixed.mp4"):
        assert (tmp_path / name).stat().st_size


@pytest.mark.parametrize("wrong", [0.5, {"fidelity": 0.5}, None])
def test_options_of_another_type_are_refused_with_an_example(networks, portrait, wrong):
    with pytest.raises(TypeError, match=r"as the options. Expected FixOptions, such as FixOptions\(fidelity=0.5\)"):
        fix(portrait, *networks, wrong)


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (np.zeros((1, 8, 8, 3), np.uint8), r"uint8 of shape \(1, 8, 8, 3\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"torch.uint8 of shape \(1, 3, 8, 8\)"),
        (torch.zeros(3, 8, 8), r"torch.float32 of shape \(3, 8, 8\)"),
        (torch.zeros(1, 8, 8, 3), r"torch.float32 of shape \(1, 8, 8, 3\)"),
        (torch.zeros(1, 4, 8, 8), r"torch.float32 of shape \(1, 4, 8, 8\)"),
    ],
)
@pytest.mark.parametrize("function", ["fix_faces", "fix_aligned", "fix_frames", "detect"])
def test_tensors_of_another_kind_are_refused(networks, function, wrong, found):
    detector, restorer = networks
    needed = {"fix_aligned": (restorer,), "detect": (detector,)}.get(function, networks)
    with pytest.raises(ValueError, match=f"Found {found}. Expected a tensor .* of floats"):
        getattr(codeformer_core, function)(wrong, *needed)


def test_frames_of_another_kind_are_refused(networks):
    with pytest.raises(TypeError, match=r"Found a Tensor as a frame. Expected .* image\(device\)"):
        next(codeformer_core.fix_stream(torch.zeros(2, 1, 3, 8, 8), *networks))


def test_mtcnn_finds_the_same_faces_under_autocast(data):
    with Image.open(data / "photos" / "astronaut_1face.png") as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None, :, :312, 100:412] / 255
    detector = load("mtcnn")
    with torch.autocast("cpu", torch.bfloat16):
        faces = detector.detect(pixels)
    assert faces == detector.detect(pixels) != []


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.full((1, 3, 8, 8), torch.nan), "pixels that are not finite .* look at what made the image"),
        (np.full((8, 8, 3), np.inf, np.float32), "pixels that are not finite"),
        (torch.full((1, 3, 8, 8), 1 + 2**-20), r"Found values from 1.00000095 to 1.00000095. Expected \[0, 1\]"),
        (torch.zeros(0, 3, 8, 8), r"without pixels, of the shape \(0, 3, 8, 8\)"),
        (np.zeros((0, 5, 3), np.uint8), r"of shape \(0, 5, 3\). Expected"),
    ],
)
def test_images_of_other_values_are_refused_with_advice_that_fits(networks, image, says):
    with pytest.raises(ValueError, match=says):
        fix(image, *networks)
