"""Who is who over time: exact, on synthetic faces."""

import pickle

import pytest

from codeformer_core.align import FFHQ_TEMPLATE
from codeformer_core.faces import Face
from codeformer_core.options.steadiness import OFF, Steadiness
from codeformer_core.video.tracking import Tracked, Tracker


def face(x: float, y: float = 100.0, side: float = 100.0, score: float = 0.9) -> Face:
    """A face whose box has its corner at (x, y)."""
    landmarks = FFHQ_TEMPLATE / 512 * side * 1.5 - 0.25 * side
    points = tuple((x + u, y + v) for u, v in landmarks.tolist())
    return Face(0, (x, y, x + side, y + side), points, score)


def track(frames: list[list[Face]], steadiness: Steadiness, cuts: tuple[int, ...] = ()) -> list[list[Tracked]]:
    tracker, out = Tracker(steadiness), []
    for index, faces in enumerate(frames):
        out += tracker.push(faces, index in cuts)
    out += tracker.finish()
    assert len(out) == len(frames)
    return out


def numbers(out: list[list[Tracked]]) -> list[list[int]]:
    """The tracks of each frame, numbered in the order in which they begin."""
    begun = sorted({one.track for faces in out for one in faces})
    return [[begun.index(one.track) for one in faces] for faces in out]


def opacities(out: list[list[Tracked]]) -> list[float | None]:
    """Of the only face of each frame."""
    return [faces[0].opacity if faces else None for faces in out]


FACE = [face(50.0)]
#: No smoothing: what comes out is what went in, as far as it was found.
PLAIN = Steadiness(window=0, max_age=0, min_hits=1, fade_frames=0, strength=0.0)


def test_off_returns_each_frame_at_once():
    frames = [[face(0.0), face(300.0, score=0.5)], [], [face(304.0), face(2.0)], [face(700.0)]]
    tracker = Tracker(OFF)
    assert tracker.delay == 0
    for faces in frames:
        [out] = tracker.push(faces)
        assert [one.face for one in out] == faces and all(one.opacity == 1 for one in out)
    assert tracker.finish() == []


def test_a_face_keeps_its_track_and_the_order_of_the_frame():
    frames = [[face(0.0), face(300.0)], [face(305.0), face(5.0)], [face(10.0), face(310.0)]]
    assert numbers(track(frames, PLAIN)) == [[0, 1], [1, 0], [0, 1]]


def test_the_closest_pair_is_the_same_face():
    frames = [[face(0.0)], [face(30.0), face(2.0)]]
    assert numbers(track(frames, PLAIN)) == [[0], [1, 0]]


def test_a_face_at_another_place_or_of_another_size_gets_a_new_track():
    frames = [[face(0.0)], [face(60.0)], [face(60.0, side=170.0)]]
    assert numbers(track(frames, PLAIN)) == [[0], [1], [2]]


def test_constant_velocity_predicts_where_a_face_is():
    steps = [0, 30, 70, 120, 180, 250, 330, 420]  # in the end almost its own width from frame to frame
    assert numbers(track([[face(float(x))] for x in steps], PLAIN)) == [[0]] * len(steps)


def test_faces_that_pass_each_other_keep_their_tracks():
    frames = [[face(12.0 * step, y=100.0), face(240.0 - 12.0 * step, y=170.0)] for step in range(21)]
    assert numbers(track(frames, PLAIN)) == [[0, 1]] * 21


@pytest.mark.parametrize("missed", [1, 3])
def test_a_gap_is_filled(missed):
    path = [face(10.0 * step) for step in range(12)]
    frames = [[] if 5 <= index < 5 + missed else [one] for index, one in enumerate(path)]
    out = track(frames, Steadiness(window=0, max_age=3, min_hits=1, fade_frames=0))
    assert numbers(out) == [[0]] * 12 and opacities(out) == [1.0] * 12
    for index in range(5, 5 + missed):
        assert out[index][0].face.box == pytest.approx(path[index].box, abs=0.1)
        assert out[index][0].face.landmarks[2] == pytest.approx(path[index].landmarks[2], abs=0.1)
    assert all(out[index][0].face == path[index] for index in range(5))


def test_a_longer_gap_ends_the_track_and_begins_a_new_one():
    frames = [FACE] * 4 + [[]] * 4 + [FACE] * 4
    assert (
        numbers(track(frames, Steadiness(window=3, max_age=3, min_hits=1, fade_frames=0))) == [[0]] * 4 + [[]] * 4 + [[1]] * 4
    )


def test_a_face_with_fewer_than_min_hits_is_dropped():
    false = [face(400.0)]
    frames = [FACE + (false if index in (3, 9, 10) else []) for index in range(20)]
    out = track(frames, Steadiness(window=0, max_age=2, min_hits=3, fade_frames=0))
    assert numbers(out) == [[0]] * 20
    assert numbers(track(frames, Steadiness(window=0, max_age=6, min_hits=3, fade_frames=0)))[3:11] == [[0, 1]] * 8


@pytest.mark.parametrize("length", [1, 2])
def test_a_shot_of_few_frames_keeps_its_faces(length):
    assert numbers(track([FACE] * length, Steadiness(min_hits=3))) == [[0]] * length
    frames = [FACE] * 6 + [[face(300.0)]] * length + [FACE] * 6
    assert numbers(track(frames, Steadiness(min_hits=3), cuts=(6, 6 + length))) == [[0]] * 6 + [[1]] * length + [[2]] * 6


def test_masks_fade_in_and_out_within_a_shot():
    frames = [[]] * 3 + [FACE] * 8 + [[]] * 9
    out = track(frames, Steadiness(max_age=2, min_hits=1, fade_frames=3))
    assert opacities(out) == [None] * 3 + [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25] + [None] * 9


def test_masks_do_not_fade_where_the_video_begins_or_ends():
    assert opacities(track([FACE] * 12, Steadiness())) == [1.0] * 12


def test_masks_do_not_fade_at_cuts():
    frames = [FACE] * 6 + [[face(300.0)]] * 6
    assert opacities(track(frames, Steadiness(fade_frames=3), cuts=(6,))) == [1.0] * 12


def test_no_face_is_tracked_across_a_cut():
    out = track([FACE] * 6 + [[]] + [FACE] * 6, Steadiness(), cuts=(7,))
    assert numbers(out) == [[0]] * 6 + [[]] + [[1]] * 6


def test_nothing_is_smoothed_across_a_cut():
    near = [face(60.0)]
    out = track([FACE] * 6 + [near] * 6, Steadiness(), cuts=(6,))
    assert out[5][0].face.box == pytest.approx(FACE[0].box) and out[6][0].face.box == pytest.approx(near[0].box)


def test_a_cut_finishes_all_frames_before_it():
    tracker = Tracker(Steadiness())
    assert [len(tracker.push(FACE)) for _ in range(4)] == [0] * 4
    assert len(tracker.push(FACE, cut=True)) == 4


def test_a_frame_is_finished_after_the_delay():
    tracker = Tracker(Steadiness())
    assert [len(tracker.push(FACE)) for _ in range(tracker.delay + 3)] == [0] * tracker.delay + [1] * 3


@pytest.mark.parametrize(
    "steadiness", [Steadiness(), Steadiness(window=9), Steadiness(max_age=0, fade_frames=0, min_hits=2), OFF]
)
def test_later_frames_do_not_change_a_finished_one(steadiness):
    """Whatever follows later changes nothing in it."""
    frames = [[] if index in (7, 8, 9, 16, 23, 24, 25, 26, 27) else [face(50.0 + index % 3)] for index in range(40)]
    whole = track(frames, steadiness)
    tracker, out = Tracker(steadiness), []
    for faces in frames:
        out += tracker.push(faces)
    assert out == whole[: len(out)] and len(out) == len(frames) - tracker.delay
    for end in (10, 18, 30):
        known = max(0, end - tracker.delay)
        assert numbers(track(frames[:end], steadiness))[:known] == numbers(whole)[:known]


def test_memory_does_not_grow():
    tracker = Tracker(Steadiness())
    sizes = []
    for index in range(300):
        tracker.push([face(50.0 + index % 2), face(300.0)] + ([face(600.0)] if index % 9 == 0 else []))
        sizes.append(len(pickle.dumps(tracker)))
    assert max(sizes[200:]) <= max(sizes[50:100]) + 100


@pytest.mark.parametrize("wrong", [{"window": -1}, {"max_age": -1}, {"min_hits": 0}, {"fade_frames": -2}])
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(ValueError, match="Expected no negative number, at least one hit, and a strength from 0 to 1"):
        Steadiness(**wrong)


def test_a_strength_above_1_is_rejected_by_name():
    with pytest.raises(ValueError, match="Found 1.5 as strength. Expected a number from 0 to 1."):
        Steadiness(strength=1.5)
