"""What Select Faces sends to its widget in the browser."""

from pathlib import Path

import pytest
from PIL import Image

SELECTING = {
    **{"order": "found", "numbers": "", "first": 1, "count": 0, "min_size": 0.0, "max_size": 0.0, "min_percent": 0.0},
    **{"max_percent": 0.0, "confidence": 0.0, "sharpness": 0.0, "inside": 0.5, "duplicates": False},
}


@pytest.fixture
def faces(pack, picture):
    """The two faces of each of two images, in crops of 64 pixels."""
    found = pack.finds((10.0, 10.0, 40.0, 40.0), (60.0, 20.0, 110.0, 70.0)).detect(picture, None)
    return pack.core("align").align(picture.movedim(-1, 1), found, 64)


def sent(pack, **inputs):
    return pack.run("CodeFormerFaceSelect", **{**SELECTING, **inputs}).ui["codeformer_faces"]


@pytest.mark.parametrize("connected", [True, False], ids=["with the pictures", "with the faces alone"])
def test_the_widget_gets_every_image_with_its_faces(pack, faces, picture, connected):
    import folder_paths

    pictures = sent(pack, faces=faces, image=picture if connected else None)
    assert len(pictures) == 2
    for entry in pictures:
        assert entry["image"]["type"] == "temp"
        assert Image.open(Path(folder_paths.get_temp_directory(), entry["image"]["filename"])).size == (120, 90)
        assert [face["numbers"]["size"] for face in entry["faces"]] == [2, 1]
        assert entry["faces"][0]["place"] == pytest.approx((10 / 120, 10 / 90, 30 / 120, 30 / 90))


def test_the_widget_gets_faces_that_are_left_alone_and_why(pack, faces):
    small, large = sent(pack, faces=faces, min_size=45.0)[0]["faces"]
    assert "smaller than 45" in small["reason"] and large["reason"] == ""


def test_of_a_long_batch_only_the_first_thumbnails_are_sent(pack, faces, picture):
    assert len(sent(pack, faces=faces, image=picture.repeat(20, 1, 1, 1))) == 16


def test_without_a_face_the_thumbnails_are_still_sent(pack, faces, picture):
    none = faces.subset([])
    assert [entry["faces"] for entry in sent(pack, faces=none, image=picture)] == [[], []]
    assert sent(pack, faces=none) == []
