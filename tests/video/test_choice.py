"""Which faces of a video are worked on: chosen once in a shot, by vote, and kept."""

from dataclasses import replace

import pytest
import torch

from codeformer_core import checkpoints
from codeformer_core.faces import Face
from codeformer_core.options import DetectionOptions, FixOptions, Selection
from codeformer_core.pipeline import Extras
from codeformer_core.video.choice import FRAMES, choose_stage
from codeformer_core.video.pipeline import fix_stream
from codeformer_core.video.stages import FrameState
from codeformer_core.video.tracking import Tracked
from codeformer_core.video_io import read_frames

SIZE = (400, 800)


class Noise:
    """A frame: sharp noise on the left half, a flat grey on the right one."""

    def image(self, device="cpu"):
        pixels = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
        pixels[..., SIZE[1] // 2 :] = torch.linspace(0, 1, SIZE[1] // 2)
        return pixels


def face(x: float, side: float = 100.0, score: float = 0.9) -> Face:
    points = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.3, 0.8), (0.7, 0.8)]
    return Face(0, (x, 100.0, x + side, 100.0 + side), tuple((x + u * side, 100.0 + v * side) for u, v in points), score)


def states(*frames: dict[str, Face], cuts: tuple[int, ...] = ()) -> list[FrameState]:
    """Frames with tracks by name; none goes on across a cut."""
    result, shot, numbers = [], 0, {}
    for index, faces in enumerate(frames):
        shot += index in cuts
        tracked = [Tracked(one, numbers.setdefault((shot, name), len(numbers)), 1.0) for name, one in faces.items()]
        result.append(FrameState(Noise(), [], tracked, SIZE, shot))
    return result


def chosen(frames, selection: Selection = Selection(), extras: Extras = Extras(), **more) -> list[list[float]]:
    """Of each frame the left edges of the chosen faces."""
    options = FixOptions(selection=selection, **more)
    done = list(choose_stage(frames, options, extras, "cpu"))
    assert [len(state.tracked) + len(state.skipped) for state in done] == [len(state.tracked) for state in frames]
    return [[one.face.box[0] for one in state.tracked] for state in done]


LEFTMOST = Selection(order="left", numbers=(1,))
LARGEST = Selection(choice="largest")


def passing(step: int) -> dict[str, Face]:
    """Two people pass each other within 30 frames."""
    return {"b": face(600.0 - 20 * step), "a": face(20.0 + 20 * step)}


def test_two_people_pass_each_other_and_the_chosen_one_stays_chosen(shared, mobilenet, tiny_checkpoint):
    options = FixOptions(selection=LEFTMOST, detection=DetectionOptions(side=320), always=True)
    clip = read_frames(shared / "data" / "cases" / "person_swap" / "crossing.mp4")
    done = list(fix_stream(clip, mobilenet, checkpoints.load(tiny_checkpoint), options))
    assert len(done) == 30 and {len(state.tracked) for state in done} == {1}
    path = [state.tracked[0].face.centre for state in done]
    assert all(0 < after[0] - before[0] < 30 for before, after in zip(path, path[1:], strict=False))  # A walks to the right
    for state, (x, y) in zip(done, path, strict=True):
        assert state.mask[0, 0, int(y), int(x)] == 1
        assert [one.reason for one in state.skipped] == ["number 2 from the left, asked for 1"]


@pytest.mark.parametrize(
    "selection",
    [
        LEFTMOST,
        Selection(order="left", count=1),
        Selection(order="left", first=1, count=1, min_size=50),
        replace(LEFTMOST, order="found", numbers=(2,)),
    ],
    ids=["number", "count", "limits", "found"],
)
def test_every_kind_of_choice_is_kept(selection):
    frames = [passing(step) for step in range(30)]
    assert chosen(states(*frames), selection) == [[one["a"].box[0]] for one in frames]


@pytest.mark.parametrize("choice", ["largest", "center"])
def test_the_largest_and_the_central_face_are_those_of_most_frames(choice):
    """In the first frame, and after the vote for good, another one is larger and more central."""
    of_most = [False, *[True] * 7, *[False] * 30]
    frames = [{"b": face(20.0, 110.0), "a": face(340.0, 120.0) if most else face(10.0, 100.0)} for most in of_most]
    assert chosen(states(*frames), Selection(choice=choice)) == [[one["a"].box[0]] for one in frames]


@pytest.mark.parametrize("good", range(FRAMES + 1))
def test_a_limit_is_kept_when_it_is_in_most_frames(good):
    frames = [{"a": face(0.0, 100.0 if index < good else 90.0)} for index in range(FRAMES)]
    assert chosen(states(*frames), Selection(min_size=95)) == [[0.0] if good > FRAMES / 2 else []] * FRAMES


def test_who_becomes_large_enough_is_chosen_then_fades_in_and_stays():
    sizes = [20.0] * 15 + [100.0] * 30 + [20.0] * 20
    options = FixOptions(selection=Selection(min_size=50))
    done = list(choose_stage(states(*({"a": face(0.0, side)} for side in sizes)), options, Extras(), "cpu"))
    opacity = [one.tracked[0].opacity if one.tracked else 0.0 for one in done]
    begin = next(index for index, value in enumerate(opacity) if value)
    assert begin % FRAMES == 0 and begin < 20
    fade = options.steadiness.fade_frames
    assert opacity[begin : begin + fade + 2] == pytest.approx([(k + 1) / (fade + 1) for k in range(fade + 1)] + [1.0])
    assert opacity[begin + fade :] == [1.0] * (len(sizes) - begin - fade)


def test_a_newcomer_does_not_take_the_place_of_who_is_there():
    alone, both, late = {"a": face(300.0)}, {"a": face(300.0), "c": face(20.0, 200.0)}, {"c": face(20.0, 200.0)}
    frames = states(*[alone] * 20, *[both] * 20, *[late] * 20)
    for selection in (LEFTMOST, LARGEST):
        assert chosen(frames, selection) == [[300.0]] * 40 + [[]] * 20


def test_a_place_that_is_free_again_goes_to_the_next_newcomer():
    frames = states(
        *[{"a": face(20.0), "b": face(300.0)}] * 15, *[{"b": face(300.0)}] * 15, *[{"b": face(300.0), "d": face(600.0)}] * 15
    )
    assert chosen(frames, LEFTMOST) == [[20.0]] * 15 + [[]] * 15 + [[600.0]] * 15


def test_a_detector_that_sees_one_person_late_does_not_change_the_order():
    frames = states(*[{"b": face(600.0)}] * 3, *[{"b": face(600.0), "a": face(20.0)}] * 20)
    assert chosen(frames, LEFTMOST) == [[]] * 3 + [[20.0]] * 20


def test_a_cut_begins_anew():
    frames = [passing(step) for step in range(30)]
    out = chosen(states(*frames, cuts=(18,)), LEFTMOST)
    assert out == [[one["a"].box[0]] for one in frames[:18]] + [[one["b"].box[0]] for one in frames[18:]]


def test_a_shot_shorter_than_a_vote_is_decided_by_what_there_is():
    frames = [passing(step) for step in range(3)]
    assert chosen(states(*frames), LEFTMOST) == [[one["a"].box[0]] for one in frames]


def test_sharpness_and_a_mask_are_voted_on_too():
    frames = [{"sharp": face(20.0), "soft": face(600.0)}] * 4
    assert chosen(states(*frames), Selection(sharpness=0.65)) == [[600.0]] * 4
    left = torch.zeros(1, 1, *SIZE)
    left[..., : SIZE[1] // 2] = 1
    walking = [{"a": face(20.0 + 30 * step)} for step in range(20)]
    assert chosen(states(*walking), extras=Extras(inside=left)) == [[one["a"].box[0]] for one in walking]


def test_the_chosen_faces_come_in_the_order_of_the_choice():
    frames = [passing(step) for step in range(30)]
    assert chosen(states(*frames), Selection(order="left")) == [[one["a"].box[0], one["b"].box[0]] for one in frames]


@pytest.mark.parametrize("wrong", [{"order": "middle"}, {"choice": "best"}, {"numbers": (0,)}])
def test_a_wrong_choice_raises_before_the_work(wrong):
    with pytest.raises(ValueError, match="is no |Found face number 0"):
        next(fix_stream(iter(()), None, None, FixOptions(selection=Selection(**wrong))))
