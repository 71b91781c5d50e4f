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


@pytest.mark.parametrize("connected", [True, False], ids=["with the pictures", "with the faces alone"])
def test_of_a_long_batch_all_faces_are_sent_with_the_first_thumbnails(pack, picture, connected):
    batch = picture.repeat(20, 1, 1, 1)
    found = pack.finds((10.0, 10.0, 40.0, 40.0)).detect(batch, None)
    faces = pack.core("align").align(batch.movedim(-1, 1), found, 64)
    pictures = sent(pack, faces=faces, image=batch if connected else None)
    assert [len(entry["faces"]) for entry in pictures] == [1] * 40
    assert [entry["image"] is None for entry in pictures] == [False] * 32 + [True] * 8


def test_without_a_face_the_thumbnails_are_still_sent(pack, faces, picture):
    none = faces.subset([])
    assert [entry["faces"] for entry in sent(pack, faces=none, image=picture)] == [[], []]
    assert sent(pack, faces=none) == []


def kept_by_the_widget(pictures):
    """How many faces the widget counts, as web/js/faces.js does where no number is chosen."""
    return sum(not face["reason"] for picture in pictures for face in picture["faces"])


def test_the_widget_counts_what_the_report_counts(pack, faces):
    """It once counted numbers, not faces: a mask that leaves all out, and two images, were told wrongly."""
    import torch

    for mask, kept in ((torch.zeros(1, 90, 120), 0), (torch.ones(1, 90, 120), 4)):
        output = pack.run("CodeFormerFaceSelect", **SELECTING, faces=faces, mask=mask)
        assert kept_by_the_widget(output.ui["codeformer_faces"]) == output.result[2] == kept


def test_a_number_is_no_reason_for_the_widget_which_counts_itself(pack, faces):
    first, second = sent(pack, faces=faces, numbers="1: 2; 2: 0", order="left")
    assert not any(face["reason"] for face in [*first["faces"], *second["faces"]])
    assert "larger than 45" in sent(pack, faces=faces, numbers="1", order="left", max_size=45.0)[0]["faces"][1]["reason"]


@pytest.mark.parametrize(
    ("text", "kept"), [("", 4), ("1", 2), ("1: 2", 3), ("1: 2; 2: 0", 1), ("1 1:1,2", 3), ("2:1 1 : 0", 1), ("1; 2", 4)]
)
def test_each_image_may_have_numbers_of_its_own(pack, faces, text, kept):
    assert pack.run("CodeFormerFaceSelect", **{**SELECTING, "numbers": text}, faces=faces).result[2] == kept


@pytest.mark.parametrize(("text", "said"), [("0: 1", "image 0"), ("1: x", "Found 'x'"), ("a: 1", "Found 'a:'")])
def test_numbers_that_are_none_are_named(pack, faces, text, said):
    with pytest.raises(ValueError, match=said):
        pack.run("CodeFormerFaceSelect", **{**SELECTING, "numbers": text}, faces=faces)
