"""What the options on faces do to a picture, each in a real run on a small network. Faces come from a file: nothing is searched."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from codeformer_core import pictures
from codeformer_core.align import template
from codeformer_core.checkpoints import manifest
from codeformer_core.cli import main
from codeformer_core.colour import luminance
from codeformer_core.faces import Face
from codeformer_core.networks.codeformer import CodeFormer, join_attention
from codeformer_core.networks.vqgan import Architecture
from codeformer_core.saved import from_json, to_json

#: A picture of 200 x 120 pixels with two faces, 80 pixels large.
WIDTH, HEIGHT, SIDE = 200, 120, 80
CORNERS = ((10, 20), (110, 20))

Run = Callable[..., torch.Tensor]


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model files are only looked for where a test says, not where the developer keeps his."""
    monkeypatch.setattr(manifest, "places", lambda folders=(): tuple(folders))


@pytest.fixture(scope="session")
def networks(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """command -> a small network for its task; colorization fuses below half the side, inpainting has a codebook of 512."""
    folder = tmp_path_factory.mktemp("tasks")
    paths = {"fix": tiny_checkpoint}
    for command, codes in (("colorize", 64), ("inpaint", 512)):
        torch.manual_seed(0)
        network = CodeFormer(Architecture((32, 32, 32, 64), 1, (3,), codes, 32, 8, 64, 1, (16,)))
        paths[command] = folder / f"{command}.pth"
        torch.save({"params_ema": join_attention(network.state_dict())}, paths[command])
    return paths


def face(corner: tuple[int, int], score: float = 0.9) -> Face:
    """An upright face whose crop is the square of SIDE pixels at a corner."""
    x, y = corner
    points = tuple((x + px, y + py) for px, py in template(SIDE).tolist())
    return Face(0, (x + 10.0, y + 10.0, x + SIDE - 10.0, y + SIDE - 10.0), points, score)


def soft_noise(seed: int = 0) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 without white."""
    noise = torch.rand(1, 3, 12, 20, generator=torch.Generator().manual_seed(seed)) * 0.8
    picture = torch.nn.functional.interpolate(noise, size=(HEIGHT, WIDTH), mode="bilinear")
    return (picture[0].permute(1, 2, 0) * 255).byte().numpy()


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """The picture, in colours."""
    Image.fromarray(soft_noise()).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def faces_file(tmp_path: Path) -> Path:
    """Where its two faces are; the right one comes first."""
    path = tmp_path / "faces.json"
    path.write_text(to_json([face(CORNERS[1]), face(CORNERS[0], 0.8)], (HEIGHT, WIDTH)))
    return path


@pytest.fixture
def run(tmp_path: Path, photo_file: Path, faces_file: Path, networks: dict[str, Path]) -> Run:
    """run(command, options) -> the result (1, 3, H, W), which replaces the one before."""

    def result(command: str, *options: object, source: Path = photo_file, faces: Path | None = faces_file) -> torch.Tensor:
        argv = [command, source, "-o", tmp_path / "out", "--overwrite", "--model", networks[command], *options]
        argv += ["--faces-from", faces] if faces else []
        assert main(list(map(str, argv))) == 0
        return pictures.read(tmp_path / "out" / source.name).image

    return result


def white(path: Path, *boxes: tuple[int, int, int, int], size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """A mask that is white in boxes (x0, y0, x1, y1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((size[1], size[0]), np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = 255
    Image.fromarray(mask).save(path)
    return path


def painted(path: Path, *boxes: tuple[int, int, int, int]) -> Path:
    """The picture with white brush strokes."""
    pixels = soft_noise()
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = 255
    Image.fromarray(pixels).save(path)
    return path


def changed(before: torch.Tensor, after: torch.Tensor) -> tuple[bool, bool]:
    """Whether the left and the right half of a picture have changed."""
    where = (before != after).any(1)[0]
    return bool(where[:, : WIDTH // 2].any()), bool(where[:, WIDTH // 2 :].any())


# --- colorize -------------------------------------------------------------------------------------------------------------


def test_a_grey_photo_is_coloured_in_its_faces_and_written_in_colours(
    tmp_path: Path, run: Run, photo_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = tmp_path / "grey.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # any bytes: it must not be on colours
    Image.open(photo_file).convert("L").save(grey, icc_profile=profile)
    before = pictures.read(grey)
    assert before.grey
    after = run("colorize", source=grey)
    said = capsys.readouterr().out
    assert "2 found, 2 coloured" in said and "profile is one for grey" in said
    written = pictures.read(tmp_path / "out" / "grey.png")
    assert not written.grey and written.icc is None
    assert changed(before.image, after) == (True, True)
    assert not torch.equal(after[:, 0], after[:, 2])
    assert torch.equal(after[..., :8, :], before.image[..., :8, :])  # above the faces


def test_keeping_the_luminance(tmp_path: Path, run: Run, photo_file: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.open(photo_file).convert("L").save(grey)
    before = pictures.read(grey).image
    kept, plain = run("colorize", "--keep-luminance", source=grey), run("colorize", source=grey)
    light = [(luminance(image) - luminance(before)).abs().max() for image in (kept, plain)]
    assert light[0] < 1.5 / 255 < light[1]
    assert not torch.equal(kept[:, 0], kept[:, 2])


def test_a_grey_photo_without_faces_stays_grey(
    tmp_path: Path, run: Run, photo_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey, nobody = tmp_path / "grey.png", tmp_path / "nobody.json"
    Image.open(photo_file).convert("L").save(grey)
    nobody.write_text(to_json([], (HEIGHT, WIDTH)))
    run("colorize", source=grey, faces=nobody)
    assert (tmp_path / "out" / "grey.png").read_bytes() == grey.read_bytes()
    assert "no face found, copied as it was" in capsys.readouterr().out


def test_aligned_crops_are_coloured(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    crop = tmp_path / "crop.png"
    Image.fromarray(soft_noise()[:100, :100]).convert("L").save(crop)
    after = run("colorize", "--aligned", source=crop, faces=None)
    assert after.shape == (1, 3, 64, 64) and not torch.equal(after[:, 0], after[:, 2])
    assert "one aligned face coloured" in capsys.readouterr().out
    light = luminance(run("colorize", "--aligned", "--keep-luminance", source=crop, faces=None))
    shown = torch.nn.functional.interpolate(pictures.read(crop).image, size=(64, 64), mode="bilinear", antialias=True)
    assert (light - luminance(shown)).abs().max() < 1.5 / 255


def test_each_command_refuses_the_network_of_another(
    tmp_path: Path, photo_file: Path, networks: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for command, other, needed in (
        ("colorize", "fix", "a restorer for colorization: choose codeformer-colorization"),
        ("inpaint", "colorize", "a restorer for inpainting: choose codeformer-inpainting"),
        ("fix", "inpaint", "a restorer for restoration: choose codeformer"),
    ):
        argv = [command, str(photo_file), "-o", str(tmp_path / "out"), "--aligned", "--model", str(networks[other])]
        assert main(argv) == 1
        assert f"Needed is {needed}." in capsys.readouterr().err


# --- inpaint --------------------------------------------------------------------------------------------------------------

#: A hole in the left face.
HOLE = (35, 45, 60, 70)


def inside(box: tuple[int, int, int, int], margin: int = 0) -> torch.Tensor:
    """(1, 3, HEIGHT, WIDTH) bool: a box and some pixels around it."""
    where = torch.zeros(1, 3, HEIGHT, WIDTH, dtype=torch.bool)
    where[..., box[1] - margin : box[3] + margin, box[0] - margin : box[2] + margin] = True
    return where


def test_a_mask_is_filled_and_the_known_pixels_stay(
    tmp_path: Path, run: Run, photo_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, hole = pictures.read(photo_file).image, inside(HOLE)
    after = run("inpaint", "--mask", white(tmp_path / "mask.png", HOLE))
    said = capsys.readouterr().out
    assert "2 found, 1 filled" in said and "no hole touches it" in said and "1 skipped" in said
    assert torch.equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).float().mean() > 0.9


def test_white_brush_strokes_are_filled(tmp_path: Path, run: Run) -> None:
    source = painted(tmp_path / "painted.png", HOLE)
    before = pictures.read(source).image
    after, exact = run("inpaint", source=source), run("inpaint", "--tolerance", 0, source=source)
    for result, rim in ((after, 2), (exact, 0)):  # JPEG's rim is filled too, unless only pure white counts
        known = ~inside(HOLE, rim)
        assert torch.equal(result[known], before[known])
        assert (result[~known] != before[~known]).float().mean() > 0.9
    almost = tmp_path / "almost.png"
    Image.fromarray((np.asarray(Image.open(source)) * (250 / 255)).astype(np.uint8)).save(almost)
    assert not torch.equal(run("inpaint", source=almost), pictures.read(almost).image)
    assert torch.equal(run("inpaint", "--tolerance", 2, source=almost), pictures.read(almost).image)


def test_a_feather_fades_into_what_is_known(tmp_path: Path, run: Run, photo_file: Path) -> None:
    mask, before = white(tmp_path / "mask.png", HOLE), pictures.read(photo_file).image
    hard, soft = run("inpaint", "--mask", mask), run("inpaint", "--mask", mask, "--feather", 8)
    ring = inside(HOLE, 8) & ~inside(HOLE)
    assert torch.equal(hard[ring], before[ring]) and (soft[ring] != before[ring]).any()
    assert torch.equal(soft[~inside(HOLE, 8)], before[~inside(HOLE, 8)])


@pytest.mark.parametrize(
    ("boxes", "says"),
    [((), "no hole: the mask has no white"), (((0, 0, 200, 8),), "2 found, 0 filled")],
    ids=["empty mask", "beside the faces"],
)
def test_nothing_to_fill_is_said_and_the_picture_copied(
    tmp_path: Path, run: Run, photo_file: Path, capsys: pytest.CaptureFixture[str], boxes: tuple, says: str
) -> None:
    run("inpaint", "--mask", white(tmp_path / "mask.png", *boxes))
    assert (tmp_path / "out" / "photo.png").read_bytes() == photo_file.read_bytes()
    said = capsys.readouterr().out
    assert says in said and "copied as it was" in said
    assert not boxes or "100% of the holes are on no face" in said


def test_no_brush_stroke_is_said(run: Run, photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("inpaint")
    assert (tmp_path / "out" / "photo.png").read_bytes() == photo_file.read_bytes()
    assert "no white brush stroke was found, copied as it was" in capsys.readouterr().out


def test_masks_of_another_size_fit_or_get_a_sentence(
    tmp_path: Path, run: Run, photo_file: Path, networks: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    half = white(tmp_path / "half.png", (18, 23, 30, 35), size=(WIDTH // 2, HEIGHT // 2))
    before, after = pictures.read(photo_file).image, run("inpaint", "--mask", half)
    hole = inside((36, 46, 60, 70), 2)
    assert torch.equal(after[~hole], before[~hole]) and not torch.equal(after, before)
    tall = white(tmp_path / "tall.png", HOLE, size=(HEIGHT, WIDTH))
    argv = ["inpaint", str(photo_file), "-o", str(tmp_path / "b"), "--mask", str(tall), "--model", str(networks["inpaint"])]
    assert main([*argv, "--aligned"]) == 1
    assert "is 120 x 200, the picture 200 x 120. Expected the same proportions" in capsys.readouterr().err


def test_a_folder_of_masks_is_read_by_name_and_place(
    tmp_path: Path, networks: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x.png", "a/x.png", "a/y.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(soft_noise()[:64, :64]).save(tmp_path / "in" / name)
    white(tmp_path / "masks" / "x.bmp", (10, 10, 20, 20), size=(64, 64))
    white(tmp_path / "masks" / "a" / "x.png", (40, 40, 50, 50), size=(64, 64))
    argv = ["inpaint", tmp_path / "in", "-o", tmp_path / "out", "--recursive", "--aligned", "--model", networks["inpaint"]]
    assert main([*map(str, argv), "--mask", str(tmp_path / "masks")]) == 1
    assert f"there is no mask for it in {tmp_path / 'masks' / 'a'}" in capsys.readouterr().err
    before = pictures.read(tmp_path / "in" / "x.png").image
    for name, corner in (("x.png", 10), ("a/x.png", 40)):
        where = (pictures.read(tmp_path / "out" / name).image != before).any(1)[0].nonzero()
        assert where.amin() == corner and where.amax() == corner + 9


def test_aligned_crops_keep_their_size_and_known_pixels(tmp_path: Path, run: Run) -> None:
    crop = tmp_path / "crop.png"
    Image.fromarray(soft_noise()[:100, :100]).save(crop)
    before = pictures.read(crop).image
    after = run(
        "inpaint", "--aligned", "--mask", white(tmp_path / "m.png", (30, 40, 70, 60), size=(100, 100)), source=crop, faces=None
    )
    hole = torch.zeros_like(before, dtype=torch.bool)
    hole[..., 40:60, 30:70] = True
    assert torch.equal(after[~hole], before[~hole]) and (after[hole] != before[hole]).float().mean() > 0.9
