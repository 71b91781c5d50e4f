"""Turned faces and tiny faces are found, and found once."""

import pytest
import torch
import torch.nn.functional as F

from codeformer_core.align import align
from codeformer_core.detection.tiled_rotated import RotatedDetector, TiledDetector, roll_angle, tile_starts
from codeformer_core.faces import Face
from codeformer_core.options import DetectionOptions

TWO = "photos/two_people.jpg"
CREW = "photos/nasa_sts114_crew_7faces.jpg"
OPTIONS = DetectionOptions(side=320)


@pytest.fixture(scope="module")
def two(photo):
    return F.interpolate(photo(TWO), scale_factor=0.5, mode="bilinear", antialias=True)


def turned_point(x: float, y: float, turns: int, height: int, width: int) -> tuple[float, float]:
    """Where torch.rot90 brings a pixel, one quarter turn after the other: the top right corner becomes the top left one."""
    for _ in range(turns):
        x, y = y, width - 1 - x
        height, width = width, height
    return x, y


def test_points_are_rotated_like_their_pixels():
    image = torch.zeros(1, 1, 5, 7)
    image[0, 0, 1, 4] = 1
    for turns in range(4):
        x, y = turned_point(4, 1, turns, 5, 7)
        assert torch.rot90(image, turns, (2, 3))[0, 0, int(y), int(x)] == 1


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_rotated_photo_gives_the_faces_of_the_upright_one(two, mobilenet, turns):
    upright = RotatedDetector(mobilenet).detect(two, OPTIONS)
    turned = RotatedDetector(mobilenet).detect(torch.rot90(two, turns, (2, 3)), OPTIONS)
    assert len(upright) == len(turned) == 2
    for face, other in zip(upright, turned, strict=True):
        moved = [turned_point(x, y, turns, *two.shape[-2:]) for x, y in face.landmarks]
        assert torch.allclose(torch.tensor(other.landmarks), torch.tensor(moved), atol=0.001)
        x0, y0, x1, y1 = other.box
        assert x0 < x1 and y0 < y1 and all(x0 < x < x1 and y0 < y < y1 for x, y in other.landmarks)
        assert abs((roll_angle(other) - roll_angle(face) + 90 * turns + 180) % 360 - 180) < 0.01


def test_a_rotated_face_is_aligned_upright(two, mobilenet):
    upright, hanging = (
        align(image, RotatedDetector(mobilenet).detect(image, OPTIONS), 64).originals
        for image in (two, torch.rot90(two, 2, (2, 3)).contiguous())
    )
    assert (upright - hanging).abs().max() < 0.01


def test_upright_faces_are_not_found_twice(photo, mobilenet):
    crew = F.interpolate(photo(CREW), scale_factor=0.5, mode="bilinear", antialias=True)
    plain = mobilenet.detect(crew, DetectionOptions(side=480))
    assert len(plain) == 7 and RotatedDetector(mobilenet).detect(crew, DetectionOptions(side=480)) == plain


def test_the_upright_pose_wins_over_a_more_certain_wrong_one(photo, mobilenet):
    """On its side this portrait scores 0.9995 with landmarks leaning by 66 and 39 degrees, upright 0.9994."""
    portrait = photo("stylegan/degraded/omi_1004_hq512.jpg")
    (plain,) = mobilenet.detect(portrait)
    assert RotatedDetector(mobilenet).detect(portrait) == [plain] and abs(roll_angle(plain)) < 5


def test_faces_with_a_large_roll_in_a_rotated_image_are_dropped(photo, mobilenet):
    painting = photo("ai/painting_s5.jpg")
    assert len(RotatedDetector(mobilenet).detect(painting)) == len(mobilenet.detect(painting)) == 1


def test_faces_of_a_batch_keep_their_image(two, mobilenet):
    batch = torch.cat([two, torch.zeros_like(two), torch.rot90(two, 2, (2, 3))])
    assert [face.image_index for face in RotatedDetector(mobilenet).detect(batch, OPTIONS)] == [0, 0, 2, 2]


@pytest.fixture(scope="module")
def tiny(photo):
    """The crew with faces of 16 pixels in a large grey image, and where it lies in it."""
    crew = F.interpolate(photo(CREW), scale_factor=16 / 125, mode="bilinear", antialias=True)
    canvas = torch.full((1, 3, 640, 960), 0.5)
    canvas[:, :, 300 : 300 + crew.shape[2], 460 : 460 + crew.shape[3]] = crew
    return canvas


def test_tiles_find_faces_too_small_in_the_whole_image(photo, tiny, mobilenet):
    options = DetectionOptions(side=320)
    assert len(mobilenet.detect(tiny, options)) == 0
    found = TiledDetector(mobilenet, tile=192).detect(tiny, options)
    assert len(found) == 7 and [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    expected = sorted(face.centre for face in mobilenet.detect(photo(CREW)))
    for (x, y), (ex, ey) in zip(sorted(face.centre for face in found), expected, strict=True):
        assert abs(x - 460 - ex * 0.128) < 2 and abs(y - 300 - ey * 0.128) < 2


class Blobs:
    """Finds the bright pixels of an image as faces of 9 x 9 around them, cut at the border like a real detector's."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def detect(self, images, options=None):
        self.sizes.append(tuple(images.shape))
        height, width = images.shape[-2:]
        found = []
        for index, y, x in images[:, 0].nonzero().tolist():
            box = (max(0, x - 4), max(0, y - 4), min(width, x + 5), min(height, y + 5))
            found.append(Face(index, box, ((x - 1, y), (x + 1, y), (x, y), (x, y), (x, y)), 0.9))
        return found


def test_tiling_finds_each_face_once_wherever_it_is():
    images = torch.zeros(2, 3, 70, 90)
    spots = [(x, y) for x in range(2, 90, 12) for y in range(2, 70, 11)]
    for x, y in spots:
        images[1, :, y, x] = 1
    plain = Blobs().detect(images)
    faces = TiledDetector(Blobs(), tile=32, overlap=0.3).detect(images, DetectionOptions())
    assert sorted(faces) == sorted(plain) and len(faces) == len(spots)


def test_a_face_cut_by_a_tile_border_is_dropped():
    image = torch.zeros(1, 3, 32, 60)
    image[0, :, 16, 31] = 1  # two pixels of its box lie beyond the first tile

    class OnlyTiles(Blobs):
        def detect(self, images, options=None):
            return super().detect(images) if images.shape[-1] == 32 else []

    faces = TiledDetector(OnlyTiles(), tile=32, overlap=0.4).detect(image, DetectionOptions())
    assert [face.box for face in faces] == [(27, 12, 36, 21)]


def test_an_image_no_larger_than_a_tile_is_searched_once():
    detector = Blobs()
    TiledDetector(detector, tile=64).detect(torch.zeros(3, 3, 64, 40), DetectionOptions())
    assert detector.sizes == [(3, 3, 64, 40)]


@pytest.mark.parametrize(("side", "tile", "overlap"), [(100, 32, 0.25), (101, 100, 0.9), (33, 32, 0.0), (1000, 640, 0.25)])
def test_tiles_cover_a_side_and_overlap(side, tile, overlap):
    starts = tile_starts(side, tile, overlap)
    assert starts[0] == 0 and starts[-1] == side - tile
    gaps = [b - a for a, b in zip(starts, starts[1:], strict=False)]
    assert all(0 < gap <= tile * (1 - overlap) + 1 for gap in gaps)


def test_tiling_and_rotation_combine(tiny, mobilenet):
    hanging = torch.rot90(tiny, 2, (2, 3))[:, :, 180:372, 300:492]  # a part is enough to show it
    options = DetectionOptions(side=192)
    detectors = (
        RotatedDetector(mobilenet),
        TiledDetector(mobilenet, tile=96),
        RotatedDetector(TiledDetector(mobilenet, tile=96)),
    )
    rotated, tiled, both = (
        [face for face in detector.detect(hanging, options) if abs(roll_angle(face)) > 150] for detector in detectors
    )
    assert len(both) > max(len(rotated), len(tiled)) and len(both) >= 5, (len(rotated), len(tiled), len(both))
