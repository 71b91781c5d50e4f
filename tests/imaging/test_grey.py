"""Black-and-white images are found whatever their tint, colour photographs are not, and a clip has one decision."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from codeformer_core.align import align
from codeformer_core.detection.faces_json import from_json
from codeformer_core.faces import Face
from codeformer_core.imaging.grey import GREY_VARIANCE, Grey, grey_tests
from codeformer_core.video.clip_grey import PATIENCE, ClipGrey

DATA = Path(__file__).parent.parent / "data"
PHOTOS = ["astronaut_1face.png", "nasa_sts114_crew_7faces.jpg"]

#: The sepia filter of many programs, which clips highlights.
SEPIA = np.transpose([(0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131)])

#: Of a photograph (H, W, 3) in [0, 1] and its luminance (H, W, 1): the photograph in black and white, toned.
TONES = {
    "grey": lambda rgb, y: y * [1, 1, 1],
    "yellowed paper": lambda rgb, y: y * [1, 0.94, 0.80],
    "faintly yellowed": lambda rgb, y: y * [1, 0.97, 0.92],
    "usual sepia matrix": lambda rgb, y: rgb @ SEPIA,
    "an added tint": lambda rgb, y: y + [0.07, 0.02, -0.08],
    "cyanotype": lambda rgb, y: y * [0.92, 0.94, 0.94] + (1 - y) * [0.04, 0.16, 0.35],
    "duotone": lambda rgb, y: y**1.3 * [0.98, 0.92, 0.78] + (1 - y) * [0.12, 0.16, 0.31],
    "a gamma for each channel": lambda rgb, y: y ** [0.85, 1, 1.2],
    "faded and underexposed": lambda rgb, y: 0.3 * y * [1, 0.9, 0.75] + 0.02,
}  # fmt: skip


def photograph(name: str) -> tuple[np.ndarray, list[tuple]]:
    """A photograph (H, W, 3) in [0, 1], and the boxes of its faces."""
    faces = from_json((DATA / "faces" / f"{Path(name).stem}.json").read_text())[0]
    return np.asarray(Image.open(DATA / "photos" / name).convert("RGB")) / 255, [face.box for face in faces]


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([[0.299], [0.587], [0.114]])


def saved(pixels: np.ndarray, quality: int = 80) -> Image.Image:
    file = io.BytesIO()
    Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8)).save(file, "JPEG", quality=quality)
    return Image.open(file)


def tensor(image: Image.Image) -> torch.Tensor:
    """(3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


def is_toned(image: torch.Tensor, boxes: Sequence[tuple] = ()) -> bool:
    """Whether an image (3, H, W) with faces in these boxes is black and white."""
    points = ((0.0, 0.0),) * 5
    return Grey.AUTO in grey_tests(image[None], [Face(0, box, points, 1.0) for box in boxes])[0]


def is_reference_grey(image: torch.Tensor) -> bool:
    """Whether an image (3, H, W) is by the reference's test."""
    return Grey.REFERENCE in grey_tests(image[None])[0]


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("tone", TONES)
def test_black_and_white_is_found_in_every_tone(tone, name, quality):
    rgb, boxes = photograph(name)
    assert is_toned(tensor(saved(TONES[tone](rgb, luma(rgb)), quality)), boxes)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("tone", TONES)
def test_a_stamp_and_a_caption_do_not_count(tone, name):
    rgb, boxes = photograph(name)
    image = saved(TONES[tone](rgb, luma(rgb)))
    draw, (width, height) = ImageDraw.Draw(image), image.size
    draw.rectangle((0, int(height * 0.92), width, height), fill=(250, 250, 235))  # a caption of 8 % with red letters
    draw.text((9, int(height * 0.92)), "Summer 1954, at the lake", fill=(200, 20, 20), font_size=height // 20)
    draw.rectangle((int(width * 0.85), 0, width, int(height * 0.07)), fill=(255, 140, 20))  # a stamp of 1 %
    assert is_toned(tensor(image), boxes)


@pytest.mark.parametrize("exposure", [1, 0.3])
@pytest.mark.parametrize("saturation", [1, 0.5, 0.3])
@pytest.mark.parametrize("name", PHOTOS)
def test_colour_photographs_of_any_saturation_are_not(name, saturation, exposure):
    rgb, boxes = photograph(name)
    assert not is_toned(tensor(saved((luma(rgb) * (1 - saturation) + rgb * saturation) * exposure)), boxes)


@pytest.mark.parametrize("cast", [(1, 0.8, 0.55), (0.7, 0.85, 1)], ids=["candle light", "blue light"])
@pytest.mark.parametrize("name", PHOTOS)
def test_colour_photographs_with_a_cast_are_not(name, cast):
    rgb, boxes = photograph(name)
    assert not is_toned(tensor(saved(rgb * cast)), boxes)


def test_real_colour_photographs_are_not():
    """Among them some with little saturation; without their boxes, as images of aligned faces have none."""
    shared = DATA.parent.parent.parent / "shared" / "data"
    folders = [shared / name for name in ("photos", "photos_annotated", "ai", "no_face")]
    found = [path for folder in folders for path in sorted(folder.glob("*.[jp][pn]g")) if "gray" not in path.name]
    if not found:
        pytest.skip("the shared photographs are absent")
    wrong = [path.name for path in found if is_toned(tensor(Image.open(path).convert("RGB").reduce(2)))]
    assert len(found) > 20 and not wrong


def test_a_coloured_face_before_a_grey_wall_is_not():
    rgb, boxes = photograph(PHOTOS[0])
    wall = luma(rgb) * np.ones(3)
    ((x0, y0, x1, y1),) = (map(int, box) for box in boxes)
    wall[y0:y1, x0:x1] = rgb[y0:y1, x0:x1]
    assert is_toned(tensor(saved(wall))) and not is_toned(tensor(saved(wall)), boxes)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (3, 2000)])
@pytest.mark.parametrize("level", [0, 0.5, 1])
def test_images_of_any_size_are_measured(size, level):
    assert is_toned(torch.full((3, *size), float(level)), [(-5, -5, 40, 40), (90, 90, 99, 99)])


def test_pixels_that_are_not_finite_are_not_grey():
    image = torch.full((3, 100, 100), 0.5)
    image[0] = torch.nan
    assert not is_toned(image)


def test_the_tests_of_each_image_of_a_batch_and_of_its_faces():
    grey = torch.rand(1, 100, 100, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1)
    toned = grey * torch.tensor([1, 0.94, 0.80]).reshape(3, 1, 1)
    colour = torch.rand(3, 100, 100, generator=torch.Generator().manual_seed(0))
    patched = grey.clone()
    patched[:, 40:60, 40:60] = torch.nn.functional.interpolate(colour[None, :, :5, :5], 20)[0]
    faces = [Face(3, (40, 40, 59, 59), ((0, 0),) * 5, 1.0)]
    found = grey_tests(torch.stack([grey, toned, colour, patched]), faces)
    assert found == (Grey.AUTO | Grey.REFERENCE, Grey.AUTO, 0, 0)


def frames(*grey: bool) -> list[int]:
    """By which tests the faces of the frames of a clip are grey."""
    face = Face(0, (20, 20, 80, 80), ((35, 40), (65, 40), (50, 55), (40, 70), (60, 70)), 1.0)
    colour = (
        torch.rand(1, 3, 10, 10, generator=torch.Generator().manual_seed(0)).repeat_interleave(10, 2).repeat_interleave(10, 3)
    )
    aligned = {True: align(colour[:, :1].expand(-1, 3, -1, -1), [face, face], 64), False: align(colour, [face, face], 64)}
    clip = ClipGrey()
    return [bool(clip.push(aligned[one]).grey[1]) for one in grey]


def test_single_frames_do_not_change_the_decision_of_a_clip():
    seen = [True] * 5 + [False] * (PATIENCE - 1) + [True] + [False] * (PATIENCE - 1)
    assert frames(*seen) == [True] * len(seen)


def test_a_film_in_black_and_white_after_a_title_in_colour():
    seen = [False] * 3 + [True] * (PATIENCE + 9)
    assert frames(*seen) == [False] * (PATIENCE + 2) + [True] * 10


@pytest.mark.parametrize(("levels", "grey"), [(12, True), (13, True), (14, False), (15, False)])
def test_strips_do_not_change_the_reference_test(levels, grey):
    """Red that grows from the top to the bottom: two of the differences vary by levels² / 12."""
    image = torch.rand(1, 1, 700, 900, generator=torch.Generator().manual_seed(0)).repeat(1, 3, 1, 1) * 0.9
    image[:, 0] += torch.linspace(0, levels / 255, 700)[:, None]
    red, green, blue = image[0].double() * 255
    variances = [one.var(unbiased=False) for one in (red - green, green - blue, blue - red)]
    assert is_reference_grey(image[0]) == grey == bool(sum(variances) / 3 <= GREY_VARIANCE)


def test_the_reference_test_includes_the_last_rows():
    late = torch.full((1, 3, 700, 900), 0.5)
    assert is_reference_grey(late[0])
    late[:, 0, -60:] = 1
    assert not is_reference_grey(late[0])
    late = torch.full((1, 3, 700, 900), 0.5)
    late[0, 0, -1, -1] = torch.nan
    assert not is_reference_grey(late[0])
