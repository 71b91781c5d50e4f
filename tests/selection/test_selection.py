"""Which faces are worked on, in which order, and the reason for every other one."""

from dataclasses import replace

import pytest
import torch

from codeformer_core.detection.suppression import remove_duplicates
from codeformer_core.faces import Face, Harmed, Skipped
from codeformer_core.options import Selection
from codeformer_core.selection.candidates import list_candidates
from codeformer_core.selection.report import LINES, report, summarize
from codeformer_core.selection.select import ORDERS, select, select_rows

SIZE = (200, 400)


def face(x: float, y: float, side: float = 20, score: float = 0.9, image: int = 0) -> Face:
    eyes = side / 4
    points = ((x - eyes, y), (x + eyes, y), (x, y + 5), (x - 5, y + 9), (x + 5, y + 9))
    return Face(image, (x - side / 2, y - side / 2, x + side / 2, y + side / 2), points, score)


A, B, C = face(300, 150, 40, 0.8), face(100, 40, 60, 0.95), face(210, 90, 20, 0.85)


def reasons(faces, selection, **given) -> dict[Face, str]:
    kept, skipped = select(faces, SIZE, selection, **given)
    assert sorted([*kept, *(skip.face for skip in skipped)]) == sorted(faces)  # nobody is lost, nobody counted twice
    return {skip.face: skip.reason for skip in skipped}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("found", [A, B, C]),
        ("size", [B, A, C]),
        ("left", [B, C, A]),
        ("top", [B, C, A]),
        ("confidence", [B, C, A]),
        ("center", [C, A, B]),
        ("smallest", [C, A, B]),
        ("right", [A, C, B]),
        ("bottom", [A, C, B]),
        ("uncertain", [A, C, B]),
    ],
)
def test_faces_come_in_the_order_asked_for(order, expected):
    assert select([A, B, C], SIZE, Selection(order=order)) == (expected, [])


def test_every_order_is_tested():
    marks = test_faces_come_in_the_order_asked_for.pytestmark[0].args[1]
    assert {row[0] for row in marks} == set(ORDERS)


def test_size_is_what_can_be_seen_of_a_face():
    outside = face(0, 0, 70)
    assert select([outside, A], SIZE, Selection(order="size"))[0] == [A, outside]


def test_each_picture_is_decided_by_itself():
    other = face(50, 50, 10, image=1)
    assert select([A, other, B], SIZE, Selection(order="size", count=1))[0] == [B, other]


def test_first_and_count_take_a_window_of_what_is_left():
    why = reasons([A, B, C], Selection(order="left", first=2, count=1))
    assert why == {B: "number 1 from the left, asked for 2", A: "number 3 from the left, asked for 2"}
    assert reasons([A, B, C], Selection(order="size", count=2)) == {C: "number 3 from the largest, asked for 1 to 2"}
    assert reasons([A, B, C], Selection(order="size", count=1, max_size=50))[C] == "not the largest face of the image"
    assert select([A, B, C], SIZE, Selection(order="left", first=2))[0] == [C, A]
    assert reasons([A], Selection(order="left", first=3)) == {A: "number 1 from the left, asked for 3"}


def test_numbers_count_from_one_in_the_order_and_no_limit_shifts_them():
    selection = Selection(order="left", numbers=(2, 3))
    assert reasons([A, B, C], selection) == {B: "number 1 from the left, asked for 2, 3"}
    assert select([A, B, C], SIZE, replace(selection, min_size=30))[0] == [A]
    assert reasons([A], Selection(numbers=(4,))) == {A: "number 1 in the order they were found, asked for 4"}


def test_an_image_may_have_numbers_of_its_own():
    faces = [face(x, 10, image=image) for image in (0, 1, 2) for x in (10, 60)]
    everyone = Selection(order="left", numbers=(2,))
    kept, why = select_rows(faces, (100, 100), everyone, numbers={1: (1, 2), 2: (0,)})
    assert kept == [1, 2, 3]
    assert "asked for 2" in why[0] and "asked for none" in why[4] and "asked for none" in why[5]


@pytest.mark.parametrize(
    ("selection", "left_alone"),
    [
        (Selection(min_size=41), {A: "40 px, smaller than 41", C: "20 px, smaller than 41"}),
        (Selection(max_size=59), {B: "60 px, larger than 59"}),
        (Selection(min_percent=11), {C: "10 % of the image's shorter side, smaller than 11"}),
        (Selection(max_percent=29), {B: "30 % of the image's shorter side, larger than 29"}),
        (Selection(confidence=0.85), {A: "confidence 0.800, less than 0.85"}),
        (Selection(eye_distance=11), {C: "eyes 10.0 px apart, fewer than 11: too small or seen from the side"}),
    ],
)
def test_limits_name_the_number_that_decided(selection, left_alone):
    assert reasons([A, B, C], selection) == left_alone


def test_only_faces_that_the_mask_covers():
    mask = torch.zeros(1, 1, *SIZE)
    mask[:, :, :, 205:] = 1  # C, from 200 to 220, is covered to 3/4
    assert reasons([A, B, C], Selection(), mask=mask) == {B: "0% inside the mask, less than 50%"}
    assert reasons([A, B, C], Selection(inside=0.8), mask=mask)[C] == "75% inside the mask, less than 80%"


def test_a_mask_may_have_another_size_and_be_one_for_each_picture():
    masks = torch.zeros(2, 1, 20, 40)
    masks[1] = 1
    second = A._replace(image_index=1)
    assert select([A, second], SIZE, Selection(), mask=masks)[0] == [second]
    half_outside = face(400, 100)
    assert select([half_outside], SIZE, Selection(), mask=masks[1:])[0] == [half_outside]


def test_an_empty_mask_leaves_every_face_alone():
    assert set(reasons([A, B, C], Selection(), mask=torch.zeros(1, 1, 64, 64))) == {A, B, C}


def test_faces_that_are_sharp_already_are_left_alone():
    why = reasons([A, B, C], Selection(sharpness=0.65), sharpness=[0.3, 1.2, 0.65])
    assert why == {
        B: "good already: sharpness 1.20, not below 0.65",
        C: "good already: sharpness 0.65, not below 0.65",
    }


def test_of_two_boxes_on_one_face_the_better_is_kept():
    mouth = face(105, 55, 25, 0.82)
    assert reasons([A, mouth, B], Selection()) == {mouth: "on the same face as the better box at (100, 40) of confidence 0.95"}
    assert select([A, mouth, B], SIZE, Selection(duplicates=True)) == ([A, mouth, B], [])


def test_neighbours_and_faces_of_other_pictures_are_no_duplicates():
    cheek_to_cheek = [face(100, 100, 40), face(122, 100, 40)]
    assert remove_duplicates([*cheek_to_cheek, face(100, 100, 40, image=1)]) == [*cheek_to_cheek, face(100, 100, 40, image=1)]


def test_a_mouth_taken_for_a_face_is_a_duplicate(photo, mobilenet):
    """A real one: MobileNet finds two faces in this degraded portrait."""
    faces = mobilenet.detect(photo("stylegan/degraded/omi_10_lq512.png"))
    assert len(faces) == 2 and remove_duplicates(faces) == [max(faces, key=lambda face: face.score)]


def test_three_hundred_faces_and_none():
    grid = [face(10 * x, 10 * y, 9, 0.9, x % 3) for x in range(20) for y in range(15)]
    kept, skipped = select(grid, (150, 200))
    assert not skipped and kept == sorted(grid, key=lambda face: face.image_index)
    assert select([], SIZE) == ([], [])


@pytest.mark.parametrize(
    ("selection", "given", "said"),
    [
        (Selection(numbers=(0, 2)), {}, "Found face number 0. Faces are counted from 1"),
        (Selection(sharpness=0.5), {}, "none was measured"),
        (Selection(), {"mask": torch.zeros(200, 400)}, r"Found a mask of shape \(200, 400\) for 3 images"),
        (Selection(), {"mask": torch.zeros(2, 1, 8, 8)}, r"shape \(2, 1, 8, 8\) for 3 images"),
        (Selection(), {"mask": torch.zeros(1, 1, 0, 8)}, r"shape \(1, 1, 0, 8\)"),
    ],
)
def test_what_cannot_be_done_is_said(selection, given, said):
    with pytest.raises(ValueError, match=said):
        select([A, face(10, 10, image=2)], SIZE, selection, **given)


def test_the_report_names_every_face_and_its_reason():
    kept, skipped = select([A, B], SIZE, Selection(min_size=50))
    assert report(kept, skipped).splitlines() == [
        "Worked on: 1",
        "  60 px at (100, 40): confidence 0.95",
        "Left alone: 1",
        "  40 px at (300, 150): 40 px, smaller than 50",
    ]
    assert report(kept, skipped, kept_lines=0).splitlines()[:2] == ["Worked on: 1", "Left alone: 1"]
    assert report([], []) == "No face found."
    assert "  image 2, 20 px at (5, 5): confidence 0.90" in report([A, face(5, 5, image=1)], [])


def test_a_face_that_is_left_alone_counts_as_found():
    skipped = [Skipped(A, "too small")]
    assert summarize(0, []) == "No face found: the image stays as it is."
    assert summarize(0, skipped) == "1 face found. Left alone: 1 (too small)."
    assert summarize(2, skipped * 2) == "4 faces found. Left alone: 2 (too small)."


def test_faces_of_a_small_network_are_told_by_their_kind_not_by_their_words():
    skipped = [Harmed(A, "larger"), Skipped(B, "smaller than this model draws")]
    said = "2 faces found. 1 face is larger: left as it is. Left alone: 1 (smaller than this model draws)."
    assert summarize(0, skipped) == said


def test_the_report_of_a_video_stays_short():
    lines = report([face(5, 5, image=index) for index in range(1000)], []).splitlines()
    assert len(lines) == LINES + 2 and lines[-1] == f"  and {1000 - LINES} more"


def test_the_numbers_that_are_shown_are_those_that_select_takes():
    faces = [A, B, C, A._replace(image_index=1)]
    for shown, one in zip(list_candidates(faces, SIZE), faces, strict=True):
        for order, number in shown.numbers.items():
            kept, _ = select(faces, SIZE, Selection(order=order, numbers=(number,)))
            assert one in kept


def test_a_candidate_says_where_it_is_and_why_it_is_left_alone():
    kept, reasons = select_rows([A, B], SIZE, Selection(numbers=(1,)))
    first, second = list_candidates([A, B], SIZE, reasons)
    assert first.place == (280 / 400, 130 / 200, 40 / 400, 40 / 200) and first.reason == "" and kept == [0]
    assert second.reason == reasons[1] and (second.pixels, second.score) == (60, 0.95)


def test_two_equal_faces_stay_two():
    """Two boxes that agree to the last digit, as saved faces may have them, are two faces for those who keep duplicates."""
    twins = [A, A, B]
    kept, reasons = select_rows(twins, SIZE, Selection(numbers=(1, 3), duplicates=True))
    assert kept == [0, 2] and list(reasons) == [1]
    assert [candidate.numbers["found"] for candidate in list_candidates(twins, SIZE, reasons)] == [1, 2, 3]
    assert [bool(candidate.reason) for candidate in list_candidates(twins, SIZE, reasons)] == [False, True, False]
    assert len(select(twins, SIZE, Selection(duplicates=True))[0]) == 3
