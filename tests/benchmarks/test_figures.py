"""The images of results in the documentation can be drawn anew, and are small."""

import pytest
from PIL import Image

from benchmarks import figures


@pytest.mark.parametrize("name", figures.FIGURES)
def test_an_image_of_results_is_committed_and_small(name):
    file = figures.ROOT / "docs" / name
    assert file.stat().st_size < 200_000
    with Image.open(file) as image:
        assert image.format == "JPEG" and 900 < image.width < 1100


def test_a_face_is_shown_before_at_each_fidelity_and_in_the_original_photo():
    drawn = figures.fidelity([3])
    assert drawn.size == (5 * figures.SIDE + 4 * figures.GAP, figures.TITLE + figures.SIDE)
    columns = [drawn.crop((x, figures.TITLE, x + figures.SIDE, drawn.height)) for x in range(0, drawn.width, figures.SIDE + 8)]
    assert len({column.tobytes() for column in columns}) == 5


def test_frames_of_a_video_are_shown_before_and_after():
    drawn = figures.video(frames=2, columns=2)
    assert drawn.size == (2 * figures.SIDE + figures.GAP, figures.TITLE + 2 * figures.SIDE + figures.GAP)
    before = drawn.crop((0, figures.TITLE, drawn.width, figures.TITLE + figures.SIDE))
    assert before.tobytes() != drawn.crop((0, drawn.height - figures.SIDE, drawn.width, drawn.height)).tobytes()
