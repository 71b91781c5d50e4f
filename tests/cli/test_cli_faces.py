"""What options do to the faces of an image, in real runs on small networks. Mostly the faces come from a file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from codeformer_core import image_io
from codeformer_core.align import template
from codeformer_core.cli import main
from codeformer_core.detection.faces_json import from_json, to_json
from codeformer_core.faces import Face
from codeformer_core.imaging import lab
from codeformer_core.imaging.colour import luminance
from codeformer_core.imaging.tiling import upscale_images
from codeformer_core.masks.parsing import PART_CLASSES
from codeformer_core.networks.background import BackgroundColorizer
from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.transformer import join_attention
from codeformer_core.networks.vqgan import Architecture
from codeformer_core.upscaler import load_upscaler

#: An image of 200 x 120 pixels with two faces whose crops have 80: the left one is nearer to the centre, the right one larger.
WIDTH, HEIGHT, SIDE = 200, 120, 80
LEFT, RIGHT = (14, 20, 56), (110, 20, 60)

Run = Callable[..., torch.Tensor]


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


def face(place: tuple[int, int, int], score: float = 0.9) -> Face:
    """An upright face whose crop is the square of SIDE pixels at (x, y), with a box of some pixels in its middle."""
    x, y, side = place
    points = tuple((x + px, y + py) for px, py in template(SIDE).tolist())
    margin = (SIDE - side) / 2
    return Face(0, (x + margin, y + margin, x + SIDE - margin, y + SIDE - margin), points, score)


def soft_noise(seed: int = 0) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 without white."""
    noise = torch.rand(1, 3, 12, 20, generator=torch.Generator().manual_seed(seed)) * 0.8
    image = torch.nn.functional.interpolate(noise, size=(HEIGHT, WIDTH), mode="bilinear")
    return (image[0].permute(1, 2, 0) * 255).byte().numpy()


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """The image, in colours."""
    Image.fromarray(soft_noise()).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def faces_file(tmp_path: Path) -> Path:
    """Where its two faces are; the right one comes first."""
    path = tmp_path / "faces.json"
    path.write_text(to_json([face(RIGHT), face(LEFT, 0.8)], (HEIGHT, WIDTH)))
    return path


@pytest.fixture
def run(tmp_path: Path, photo_file: Path, faces_file: Path, networks: dict[str, Path]) -> Run:
    """run(command, options) -> the result (1, 3, H, W), which replaces the one before."""

    def result(command: str, *options: object, source: Path = photo_file, faces: Path | None = faces_file) -> torch.Tensor:
        argv = [command, source, "-o", tmp_path / "out", "--overwrite", "--model", networks[command], *options]
        argv += ["--faces-from", faces] if faces else []
        argv += ["--always"] if command == "fix" else []  # the tests' networks draw 64 pixels
        assert main(list(map(str, argv))) == 0
        return image_io.read(tmp_path / "out" / source.name).image

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
    """The image with white brush strokes."""
    pixels = soft_noise()
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = 255
    Image.fromarray(pixels).save(path)
    return path


def changed(before: torch.Tensor, after: torch.Tensor) -> tuple[bool, bool]:
    """Whether the left and the right half of an image have changed."""
    where = (before != after).any(1)[0]
    return bool(where[:, : WIDTH // 2].any()), bool(where[:, WIDTH // 2 :].any())


# --- colorize -------------------------------------------------------------------------------------------------------------


def test_a_grey_photo_is_coloured_in_its_faces_and_written_in_colours(
    tmp_path: Path, run: Run, photo_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = tmp_path / "grey.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # any bytes: it must not be on colours
    Image.open(photo_file).convert("L").save(grey, icc_profile=profile)
    before = image_io.read(grey)
    assert before.grey
    after = run("colorize", source=grey)
    said = capsys.readouterr().out
    assert "2 found, 2 coloured" in said and "profile is one for grey" in said
    written = image_io.read(tmp_path / "out" / "grey.png")
    assert not written.grey and written.icc is None
    assert changed(before.image, after) == (True, True)
    assert not torch.equal(after[:, 0], after[:, 2])
    assert torch.equal(after[..., :8, :], before.image[..., :8, :])  # above the faces


def test_keep_luminance_changes_only_the_colours(tmp_path: Path, run: Run, photo_file: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.open(photo_file).convert("L").save(grey)
    before = image_io.read(grey).image
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
    assert after.shape == (1, 3, 100, 100) and not torch.equal(after[:, 0], after[:, 2])
    assert "one aligned face coloured" in capsys.readouterr().out
    light = luminance(run("colorize", "--aligned", "--keep-luminance", source=crop, faces=None))
    assert (light - luminance(image_io.read(crop).image)).abs().max() < 1.5 / 255


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
    before, hole = image_io.read(photo_file).image, inside(HOLE)
    after = run("inpaint", "--mask", white(tmp_path / "mask.png", HOLE))
    said = capsys.readouterr().out
    assert "2 found, 1 filled" in said and "no hole touches it" in said and "1 skipped" in said
    assert torch.equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).float().mean() > 0.9


def test_white_brush_strokes_are_filled(tmp_path: Path, run: Run) -> None:
    source = painted(tmp_path / "painted.png", HOLE)
    before = image_io.read(source).image
    after, exact = run("inpaint", source=source), run("inpaint", "--tolerance", 0, source=source)
    for result, rim in ((after, 2), (exact, 0)):  # JPEG's rim is filled too, unless only pure white counts
        known = ~inside(HOLE, rim)
        assert torch.equal(result[known], before[known])
        assert (result[~known] != before[~known]).float().mean() > 0.9
    almost = tmp_path / "almost.png"
    Image.fromarray((np.asarray(Image.open(source)) * (250 / 255)).astype(np.uint8)).save(almost)
    assert not torch.equal(run("inpaint", source=almost), image_io.read(almost).image)
    assert torch.equal(run("inpaint", "--tolerance", 2, source=almost), image_io.read(almost).image)


def test_a_feather_fades_into_what_is_known(tmp_path: Path, run: Run, photo_file: Path) -> None:
    mask, before = white(tmp_path / "mask.png", HOLE), image_io.read(photo_file).image
    hard, soft = run("inpaint", "--mask", mask), run("inpaint", "--mask", mask, "--feather", 8)
    ring = inside(HOLE, 8) & ~inside(HOLE)
    assert torch.equal(hard[ring], before[ring]) and (soft[ring] != before[ring]).any()
    assert torch.equal(soft[~inside(HOLE, 8)], before[~inside(HOLE, 8)])


@pytest.mark.parametrize(
    ("boxes", "says"),
    [((), "no hole: the mask has no white"), (((0, 0, 200, 8),), "2 found, 0 filled")],
    ids=["empty mask", "beside the faces"],
)
def test_an_image_with_nothing_to_fill_is_reported_and_copied(
    tmp_path: Path, run: Run, photo_file: Path, capsys: pytest.CaptureFixture[str], boxes: tuple, says: str
) -> None:
    run("inpaint", "--mask", white(tmp_path / "mask.png", *boxes))
    assert (tmp_path / "out" / "photo.png").read_bytes() == photo_file.read_bytes()
    said = capsys.readouterr().out
    assert says in said and "copied as it was" in said
    assert not boxes or "100% of the holes are on no face" in said


def test_an_image_without_brush_strokes_is_reported_and_copied(
    run: Run, photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("inpaint")
    assert (tmp_path / "out" / "photo.png").read_bytes() == photo_file.read_bytes()
    assert "no white brush stroke was found, copied as it was" in capsys.readouterr().out


def test_masks_of_another_size_are_stretched_and_of_another_aspect_ratio_refused(
    tmp_path: Path, run: Run, photo_file: Path, networks: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    half = white(tmp_path / "half.png", (18, 23, 30, 35), size=(WIDTH // 2, HEIGHT // 2))
    before, after = image_io.read(photo_file).image, run("inpaint", "--mask", half)
    hole = inside((36, 46, 60, 70), 2)
    assert torch.equal(after[~hole], before[~hole]) and not torch.equal(after, before)
    tall = white(tmp_path / "tall.png", HOLE, size=(HEIGHT, WIDTH))
    argv = ["inpaint", str(photo_file), "-o", str(tmp_path / "b"), "--mask", str(tall), "--model", str(networks["inpaint"])]
    assert main([*argv, "--aligned"]) == 1
    assert "is 120 x 200, the image 200 x 120. Expected the same proportions" in capsys.readouterr().err


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
    before = image_io.read(tmp_path / "in" / "x.png").image
    for name, corner in (("x.png", 10), ("a/x.png", 40)):
        where = (image_io.read(tmp_path / "out" / name).image != before).any(1)[0].nonzero()
        assert where.amin() == corner and where.amax() == corner + 9


def test_aligned_crops_keep_their_size_and_known_pixels(tmp_path: Path, run: Run) -> None:
    crop = tmp_path / "crop.png"
    Image.fromarray(soft_noise()[:100, :100]).save(crop)
    before = image_io.read(crop).image
    after = run(
        "inpaint", "--aligned", "--mask", white(tmp_path / "m.png", (30, 40, 70, 60), size=(100, 100)), source=crop, faces=None
    )
    hole = torch.zeros_like(before, dtype=torch.bool)
    hole[..., 40:60, 30:70] = True
    assert torch.equal(after[~hole], before[~hole]) and (after[hole] != before[hole]).float().mean() > 0.9


# --- fix: which faces -----------------------------------------------------------------------------------------------------

LEFT_HALF = ((0, 0, WIDTH // 2, HEIGHT),)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", (True, True)),
        ("--only-center", (True, False)),
        ("--only-largest", (False, True)),
        ("--faces 1", (False, True)),
        ("--order left --faces 1", (True, False)),
        ("--order left --first 2", (False, True)),
        ("--order confidence --count 1", (False, True)),
        ("--min-size 58", (False, True)),
        ("--max-size 58", (True, False)),
        ("--skip-larger-than 58", (True, False)),
        ("--min-percent 48", (False, True)),
        ("--max-percent 48", (True, False)),
        ("--eye-distance 50", (False, False)),
        ("--inside MASK", (True, False)),
        ("--only-blurred", (True, False)),
        ("--only-blurred 10", (True, True)),
    ],
)
def test_only_chosen_faces_are_restored(tmp_path: Path, run: Run, options: str, expected: tuple[bool, bool]) -> None:
    pixels = soft_noise()
    pixels[:, WIDTH // 2 :] = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH // 2, 3), np.uint8)  # sharp, that is
    Image.fromarray(pixels).save(tmp_path / "half.png")
    mask = white(tmp_path / "mask.png", (0, 0, WIDTH // 4, HEIGHT // 2), size=(WIDTH // 2, HEIGHT // 2))
    after = run("fix", *(mask if option == "MASK" else option for option in options.split()), source=tmp_path / "half.png")
    assert changed(image_io.read(tmp_path / "half.png").image, after) == expected


def test_a_face_with_two_boxes_is_restored_once(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    twice = tmp_path / "twice.json"
    twice.write_text(to_json([face(LEFT), face(LEFT, 0.8)], (HEIGHT, WIDTH)))
    run("fix", faces=twice)
    assert "2 found, 1 restored" in capsys.readouterr().out
    run("fix", "--keep-duplicates", faces=twice)
    assert "2 found, 2 restored" in capsys.readouterr().out


@pytest.fixture
def search(shared: Path, run: Run) -> Run:
    """`run` with a real detector."""
    detector = shared / "data" / "detectors" / "detection_mobilenet0.25_Final.pth"
    return lambda *options, source: run("fix", "--detector", detector, *options, source=source, faces=None)


@pytest.fixture
def portrait(data: Path) -> Image.Image:
    """A face of 85 pixels in 160 x 160."""
    with Image.open(data / "photos" / "astronaut_1face.png") as image:
        return image.convert("RGB").crop((120, 0, 360, 240)).resize((160, 160))


def test_rotated_faces_are_found_when_asked(
    tmp_path: Path, search: Run, portrait: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait.rotate(180).save(tmp_path / "hangs.png")
    search("--detection-side", 160, source=tmp_path / "hangs.png")
    assert "no face found" in capsys.readouterr().out
    search("--detection-side", 160, "--rotated", source=tmp_path / "hangs.png")
    assert "1 found, 1 restored" in capsys.readouterr().out


def test_tiny_faces_are_found_in_tiles(
    tmp_path: Path, search: Run, portrait: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    large = Image.new("RGB", (480, 480), (90, 90, 90))
    large.paste(portrait.resize((100, 100)), (200, 200))
    large.save(tmp_path / "large.png")
    search("--detection-side", 64, source=tmp_path / "large.png")
    assert "no face found" in capsys.readouterr().out
    search("--detection-side", 160, "--tiles", 160, source=tmp_path / "large.png")
    assert "1 found, 1 restored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("fix", "-w 0,1 --keep-out MASK --inside MASK --blend 0.5 --keep-detail --only-blurred --colour coarse-colours"),
        ("fix", "-w 0 --fidelity-mask MASK --order size --count 2 --mask box --draw-boxes"),
        ("colorize", "--keep-luminance --keep-out MASK"),
        ("inpaint", "--mask MASK --feather 3"),
    ],
)
def test_without_faces_every_option_copies_the_image(
    tmp_path: Path, run: Run, photo_file: Path, capsys: pytest.CaptureFixture[str], command: str, options: str
) -> None:
    mask, nobody = white(tmp_path / "mask.png", HOLE), tmp_path / "nobody.json"
    nobody.write_text(to_json([], (HEIGHT, WIDTH)))
    run(command, *(mask if option == "MASK" else option for option in options.split()), faces=nobody)
    assert (tmp_path / "out" / "photo.png").read_bytes() == photo_file.read_bytes()
    assert "no face found, copied as it was" in capsys.readouterr().out


# --- fix: how much, and where ---------------------------------------------------------------------------------------------


def test_fidelity_per_face(run: Run) -> None:
    low, high = run("fix", "-w", 0), run("fix", "-w", 1)
    assert changed(low, high) == (True, True)
    both = run("fix", "--order", "left", "-w", "0,1")
    assert changed(both, low) == (False, True) and changed(both, high) == (True, False)


def test_a_wrong_number_of_fidelities_is_refused_with_the_number_of_faces(
    tmp_path: Path, photo_file: Path, faces_file: Path, networks: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["fix", str(photo_file), "-o", str(tmp_path / "out"), "--model", str(networks["fix"]), "-w", "0.1,0.2,0.3"]
    assert main([*argv, "--faces-from", str(faces_file)]) == 1
    assert "Found 3 fidelities for 2 faces" in capsys.readouterr().err
    assert main([*argv, "--aligned"]) == 1
    assert "Found 3 fidelities for 1 face." in capsys.readouterr().err


def test_the_fidelity_mask_raises_the_fidelity_to_one(tmp_path: Path, run: Run) -> None:
    low, high = run("fix", "-w", 0), run("fix", "-w", 1)
    painted_left = run("fix", "-w", 0, "--fidelity-mask", white(tmp_path / "mask.png", *LEFT_HALF))
    assert changed(painted_left, low) == (True, False)
    left = (..., slice(0, WIDTH // 2))
    assert torch.allclose(painted_left[left], high[left], atol=1.5 / 255)


def test_parts_of_the_face_with_their_edges(tmp_path: Path, run: Run, photo_file: Path) -> None:
    from facexlib.parsing.bisenet import BiSeNet

    torch.manual_seed(0)
    torch.save(BiSeNet(num_class=19).state_dict(), tmp_path / "parser.pth")
    before = image_io.read(photo_file).image
    whole = int((run("fix", "--only-center") != before).sum())

    def area(*options: object) -> int:
        return int((run("fix", "--only-center", "--parser", tmp_path / "parser.pth", "--parts", *options) != before).sum())

    part = next(part for part in PART_CLASSES if 100 < area(part) < whole)  # which depends on the random weights
    alone = area(part)
    assert area(part, "--grow", -2) < alone < min(area(part, "--grow", 3), area(part, "--feather", 3))
    assert alone < area(",".join(PART_CLASSES)) <= whole


def test_blend(tmp_path: Path, run: Run, photo_file: Path) -> None:
    before, full, half = image_io.read(photo_file).image, run("fix"), run("fix", "--blend", 0.5)
    middle = (..., slice(30, 90), slice(24, 84))  # of the left face
    assert torch.allclose(half[middle], (before + full)[middle] / 2, atol=1.1 / 255)
    assert not torch.allclose(half[middle], full[middle], atol=0.05)
    run("fix", "--blend", 0)
    assert (tmp_path / "out" / "photo.png").read_bytes() == photo_file.read_bytes()


@pytest.mark.parametrize("aligned", [False, True])
def test_pixels_in_the_keep_out_mask_are_unchanged(tmp_path: Path, run: Run, photo_file: Path, aligned: bool) -> None:
    source = tmp_path / "source.png"
    Image.open(photo_file).crop((0, 0, 120, 120)).save(source)
    mask = white(tmp_path / "mask.png", HOLE, size=(120, 120))
    faces = tmp_path / "one.json"
    faces.write_text(to_json([face(LEFT)], (120, 120)))
    options = ["--aligned"] if aligned else []
    before = image_io.read(source).image
    after = run("fix", "--keep-out", mask, *options, source=source, faces=None if aligned else faces)
    hole = (..., slice(HOLE[1], HOLE[3]), slice(HOLE[0], HOLE[2]))
    assert torch.equal(after[hole], before[hole])
    assert not torch.equal(after, before)


def test_keeping_detail_changes_faces_only(run: Run, photo_file: Path) -> None:
    before, plain, kept = (
        image_io.read(photo_file).image,
        run("fix", "-w", 1, "--no-keep-detail"),
        run("fix", "-w", 1, "--keep-detail"),
    )
    changed = (plain != before).any(1, keepdim=True).float()
    # Where the mask begins, its first levels may round to no change in one result and to a change in the other.
    outside = (torch.nn.functional.max_pool2d(changed, 9, stride=1, padding=4) == 0).expand_as(before)
    assert outside.float().mean() > 0.3
    assert torch.equal(kept[outside], before[outside]) and not torch.equal(kept, plain)


@pytest.mark.parametrize("how", ["mean-and-spread", "coarse-colours"])
def test_colours_follow_the_image(tmp_path: Path, run: Run, how: str) -> None:
    def difference(*options: object) -> torch.Tensor:
        run("fix", "--only-center", "--save-crops", tmp_path, *options)
        crops = [image_io.read(tmp_path / f"photo_02_{name}.png").image for name in ("aligned", "restored")]
        return (crops[0] - crops[1]).mean((0, 2, 3)).abs().max()

    assert difference("--colour", how) < 0.02 < 0.05 < difference("--colour", "as-restored")


# --- fix: size ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def upscaler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of RealESRGAN's family, 2x, with random weights."""
    pytest.importorskip("spandrel", reason="upscaling needs the package spandrel")
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("upscaler") / "x2.pth"
    torch.save({"params_ema": ESRGAN(num_filters=8, num_blocks=1, scale=2).state_dict()}, path)
    return path


def test_the_background_is_enlarged_by_the_network(
    run: Run, photo_file: Path, upscaler: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, network = image_io.read(photo_file).image, load_upscaler(upscaler)
    top = (..., slice(0, 8), slice(None))  # above the faces
    for options, factor in (((), 2), (("--upscale", 1.5, "--bg-tile", 64), 1.5)):
        after = run("fix", "--bg-upscaler", upscaler, *options)
        expected = upscale_images(before, network, factor)
        assert after.shape == expected.shape == (1, 3, int(HEIGHT * factor), int(WIDTH * factor))
        assert torch.allclose(after[top], expected[top], atol=1.5 / 255)
        assert not torch.allclose(after, expected, atol=0.02)
    assert capsys.readouterr().out.count("faces: 2 found, 2 restored") == 2


def test_an_image_is_enlarged_by_the_largest_networks(tmp_path: Path, networks: dict[str, Path]) -> None:
    """They have 16x; more than 8 was refused as if somebody had asked for it."""
    pytest.importorskip("spandrel", reason="upscaling needs the package spandrel")
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.save({"params_ema": ESRGAN(num_filters=8, num_blocks=1, scale=16).state_dict()}, tmp_path / "x16.pth")
    Image.new("RGB", (12, 10)).save(tmp_path / "photo.png")
    (tmp_path / "faces.json").write_text(to_json([], (10, 12)))
    argv = ["fix", tmp_path / "photo.png", "-o", tmp_path / "out", "--model", networks["fix"]]
    argv += ["--faces-from", tmp_path / "faces.json", "--bg-upscaler", tmp_path / "x16.pth", "--device", "cpu"]
    assert main([str(word) for word in argv]) == 0
    assert image_io.read(tmp_path / "out" / "photo.png").image.shape == (1, 3, 160, 192)


def test_faces_are_enlarged_by_the_network(tmp_path: Path, run: Run, upscaler: Path) -> None:
    plain = run("fix", "--upscale", 2)
    sharp = run("fix", "--upscale", 2, "--face-upscaler", upscaler, "--save-crops", tmp_path)
    assert image_io.read(tmp_path / "photo_01_restored.png").image.shape[-1] == 128
    assert changed(plain, sharp) == (True, True)
    aligned = run("fix", "--aligned", "--face-upscaler", upscaler, faces=None)
    assert aligned.shape == (1, 3, HEIGHT, WIDTH)


def test_faces_are_enlarged_as_much_as_the_image(tmp_path: Path, run: Run, upscaler: Path) -> None:
    run("fix", "--face-upscaler", upscaler, "--save-crops", tmp_path)
    assert image_io.read(tmp_path / "photo_01_restored.png").image.shape[-1] == 64


def test_a_network_that_cannot_be_compiled_is_refused_before_the_work(
    tmp_path: Path,
    photo_file: Path,
    networks: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(part: object) -> object:
        raise RuntimeError("no compiler\nand much more")

    monkeypatch.setattr(torch, "compile", broken)
    argv = ["fix", str(photo_file), "-o", str(tmp_path / "out"), "--model", str(networks["fix"]), "--aligned", "--compile"]
    assert main(argv) == 1
    assert "cannot compile this network here (no compiler). Leave out --compile." in capsys.readouterr().err


def test_images_of_unreadable_formats_are_reported(
    tmp_path: Path, photo_file: Path, networks: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "raw.cr2").touch()
    (folder / "phone.HEIC").touch()
    argv = ["fix", str(folder), "-o", str(tmp_path / "fixed"), "--model", str(networks["fix"]), "--aligned"]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert "Found 2 of other kinds (.cr2, .heic): export those as TIFF or PNG first." in said and "--recursive" not in said
    (folder / "below" / "photo.png").write_bytes(photo_file.read_bytes())
    assert main(argv) == 2
    assert "Add --recursive" in capsys.readouterr().err
    assert main([*argv, "--recursive"]) == 0
    assert "Left out: 2 of other kinds (.cr2, .heic)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["fix", "a.png", "-o", "b", "--weight", "0.9"], "fix: --weight is not known. Did you mean --fidelity?"),
        (["fix", "a.png", "-o", "b", "--bg_upsampler", "x"], "fix: --bg_upsampler is not known. Did you mean --bg-upscaler?"),
        (["video", "a.mp4", "-o", "b", "--overwritten"], "video: --overwritten is not known. Did you mean --overwrite?"),
        (
            ["models", "fetch", "codeformer", "--xyz=1"],
            "models fetch: --xyz is not known. See `codeformer models fetch --help`",
        ),
        (["models", "where", "here"], "models where: here is not known. See"),
        (
            ["fix", "a.png", "-o", "b", "--background-inpainter", "big-lama"],
            "fix: --background-inpainter is not known. It is an option of `codeformer inpaint`. See",
        ),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest_known_one(
    asked: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked) == 2
    assert f"codeformer {says}" in capsys.readouterr().err


def test_without_any_word_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "restore the faces in images" in capsys.readouterr().err


def test_version_and_models_without_an_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("codeformer")
    assert main(["models"]) == 0
    assert "codeformer_starter.safetensors" in capsys.readouterr().out


def test_compile_compiles_the_parts_of_the_network(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda part: compiled.append(part.__name__) or part)
    plain = run("fix")
    assert compiled == []
    assert torch.equal(run("fix", "--compile"), plain)
    assert compiled[-3:] == ["encode", "predict", "decode"]  # after a try whether anything can be


def test_openvino_computes_the_network(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", "a.png", "-o", "b", "--engine", "openvino", "--compile"]) == 2
    assert "--compile is for PyTorch: leave out --engine, or --compile." in capsys.readouterr().err
    pytest.importorskip("openvino", reason="needs the package openvino, the extra of that name")
    assert torch.allclose(run("fix", "--engine", "openvino"), run("fix"), atol=1.5 / 255)


@pytest.mark.parametrize("option", ["--inside", "--keep-out", "--fidelity-mask", "--faces-from"])
def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", str(tmp_path), "-o", str(tmp_path / "out"), option, ""]) == 2
    assert "found an empty name" in capsys.readouterr().err


def test_a_missing_or_wrong_upscaler_is_refused(
    tmp_path: Path, photo_file: Path, networks: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["fix", str(photo_file), "-o", str(tmp_path / "out"), "--model", str(networks["fix"]), "--aligned"]
    assert main([*argv, "--face-upscaler", "realesrgan-x2plus"]) == 1
    assert "`codeformer models fetch realesrgan-x2plus`" in capsys.readouterr().err
    pytest.importorskip("spandrel")
    assert main([*argv, "--face-upscaler", str(networks["colorize"])]) == 1
    assert "Choose an upscaler" in capsys.readouterr().err


# --- faces in files -------------------------------------------------------------------------------------------------------


def test_saved_faces_are_those_that_were_worked_on_and_give_the_same_result(tmp_path: Path, run: Run, faces_file: Path) -> None:
    saved = tmp_path / "below" / "saved.json"
    first = run("fix", "--order", "left", "--save-faces", saved)
    faces, size = from_json(saved.read_text())
    assert size == (HEIGHT, WIDTH) and faces == [face(LEFT, 0.8), face(RIGHT)]
    assert torch.equal(run("fix", faces=saved), first)
    run("fix", "--only-largest", "--save-faces", saved)
    assert from_json(saved.read_text())[0] == [face(RIGHT)]


def test_faces_found_in_a_smaller_image_are_scaled(tmp_path: Path, run: Run, photo_file: Path) -> None:
    double = tmp_path / "double.png"
    Image.open(photo_file).resize((2 * WIDTH, 2 * HEIGHT)).save(double)
    after = run("fix", "--only-largest", "--save-faces", tmp_path / "saved.json", source=double)
    assert after.shape[-1] == 2 * WIDTH
    assert from_json((tmp_path / "saved.json").read_text())[0][0].box == tuple(2 * value + 0.5 for value in face(RIGHT).box)


def test_files_of_faces_that_do_not_fit_are_refused(
    tmp_path: Path, photo_file: Path, faces_file: Path, networks: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["fix", str(photo_file), "--model", str(networks["fix"]), "-o", str(tmp_path / "out"), "--faces-from"]
    (tmp_path / "bad.json").write_text("{}")
    assert main([*argv, str(tmp_path / "bad.json")]) == 1
    assert "choose a file of saved faces" in capsys.readouterr().err
    (tmp_path / "tall.json").write_text(to_json([face(LEFT)], (WIDTH, HEIGHT)))
    assert main([*argv, str(tmp_path / "tall.json")]) == 1
    assert "faces were found in 120 x 200" in capsys.readouterr().err
    assert main([*argv, str(faces_file), "--save-faces", str(tmp_path / "tall.json")]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*argv, str(faces_file), "--save-faces", str(faces_file), "--overwrite"]) == 2
    assert "would overwrite the file that --faces-from reads" in capsys.readouterr().err
    (tmp_path / "other.png").write_bytes(photo_file.read_bytes())
    assert main([*argv[:1], str(tmp_path / "other.png"), *argv[1:], str(faces_file)]) == 2
    assert "for one image, found 2" in capsys.readouterr().err


def test_a_second_network_is_mixed_in(run: Run, networks: dict[str, Path], tmp_path: Path) -> None:
    state = torch.load(networks["fix"], weights_only=True)
    changed = {name: value.clone() for name, value in state["params_ema"].items()}
    last = max(name for name in changed if name.startswith("generator.blocks.") and name.endswith(".bias"))
    changed[last] += 0.3
    torch.save({"params_ema": changed}, tmp_path / "second.pth")
    plain = "--no-keep-detail", "--colour", "as-restored"
    second = *plain, "--second-model", tmp_path / "second.pth"
    first, half, whole = run("fix", *plain), run("fix", *second), run("fix", *second, "--mix", 1)
    assert (whole - first).abs().max() > 0.05
    assert (half - (first + whole) / 2).abs().max() < 2.5 / 255
    assert main(["fix", str(tmp_path / "photo.png"), "-o", str(tmp_path / "out"), "--mix", "0.4"]) == 2


# --- the whole photo ------------------------------------------------------------------------------------------------------


def test_a_background_inpainter_fills_the_holes_that_are_on_no_face(
    tmp_path: Path, run: Run, photo_file: Path, lama_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = (0, 112, 200, 118)
    mask, before = white(tmp_path / "mask.png", HOLE, beside), image_io.read(photo_file).image
    faces_alone = run("inpaint", "--mask", mask)
    assert "of the holes are on no face and stay as they were" in capsys.readouterr().out
    after = run("inpaint", "--mask", mask, "--background-inpainter", lama_checkpoint)
    said = capsys.readouterr().out
    assert "2 found, 1 filled" in said and "stay as they were" not in said and "were filled by the background inpainter" in said
    on_face, off_face = inside(HOLE), inside(beside)
    assert torch.equal(after[~on_face & ~off_face], before[~on_face & ~off_face])
    assert (after[off_face] != before[off_face]).float().mean() > 0.9
    middle = inside((HOLE[0] + 8, HOLE[1] + 8, HOLE[2] - 8, HOLE[3] - 8))
    assert float((after - faces_alone)[middle].abs().mean()) < 0.05  # the face is still CodeFormer's


def test_holes_of_a_photo_without_faces_are_filled_too(
    tmp_path: Path, run: Run, photo_file: Path, lama_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = tmp_path / "nobody.json"
    nobody.write_text(to_json([], (HEIGHT, WIDTH)))
    mask, before = white(tmp_path / "mask.png", (90, 50, 96, 56)), image_io.read(photo_file).image
    after = run("inpaint", "--mask", mask, "--background-inpainter", lama_checkpoint, faces=nobody)
    assert (after != before).any(1).sum() > 30 and "no face found" in capsys.readouterr().out


def test_a_background_colorizer_colours_the_whole_photo_with_its_bits_and_transparency(
    tmp_path: Path,
    run: Run,
    ddcolor_checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BackgroundColorizer, "side", 64)
    grey = torch.from_numpy(soft_noise()).movedim(-1, 0)[None, :1].expand(-1, 3, -1, -1) / 255 * 0.8 + 0.00002
    alpha = torch.linspace(0, 1, WIDTH).expand(1, 1, HEIGHT, WIDTH)
    source = tmp_path / "grey.png"
    image_io.write(image_io.ImageFile(grey, alpha=alpha, bits=16, grey=True), source)
    before = image_io.read(source)
    assert before.grey and before.bits == 16
    after = run("colorize", "--background-colorizer", ddcolor_checkpoint, "--keep-luminance", source=source)
    written = image_io.read(tmp_path / "out" / "grey.png")
    assert (written.bits, written.grey) == (16, False) and "the whole image has colours now" in capsys.readouterr().out
    assert written.alpha is not None and before.alpha is not None and torch.equal(written.alpha, before.alpha)
    outside = after[..., :8, :]
    assert ((outside[:, 0] - outside[:, 2]) > 0.02).float().mean() > 0.9
    light = (lab.grey(lab.relative_luminance(image)) for image in (after, before.image))
    assert float((next(light) - next(light)).abs()[..., :8, :].max()) < 0.2 / 255


def test_a_background_network_for_another_task_is_refused(
    tmp_path: Path, photo_file: Path, networks: dict[str, Path], lama_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["colorize", photo_file, "-o", tmp_path / "out", "--model", networks["colorize"], "--detector", "mtcnn"]
    assert main([*map(str, argv), "--background-colorizer", str(lama_checkpoint)]) == 1
    assert "big-lama.safetensors is a background for inpainting. Needed is a background for colorization: choose ddcolor." in (
        capsys.readouterr().err
    )
