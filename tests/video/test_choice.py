"""Which faces of a video are worked on: chosen once in a shot, by vote, and kept."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from codeformer_core import checkpoints
from codeformer_core.extras import Extras
from codeformer_core.faces import Face
from codeformer_core.options import DetectionOptions, FixOptions, Selection
from codeformer_core.recognition import People
from codeformer_core.video.choice import FRAMES, SAMPLES, choose_stage
from codeformer_core.video.pipeline import fix_stream
from codeformer_core.video.stages import FrameState, track_stage
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


class Painted:
    """A frame in which the face of each person has a colour of its own: red for "a", green for "b", blue for "c"."""

    def __init__(self, faces: dict[str, Face]):
        self.faces = faces

    def image(self, device="cpu"):
        pixels = torch.zeros(1, 3, *SIZE)
        for name, one in self.faces.items():
            x0, y0, x1, y1 = map(round, one.box)
            pixels[:, "abc".index(name[0]), y0:y1, max(0, x0) : x1] = 1
        return pixels


class Colours:
    """Tells people apart by the colour of their faces."""

    def __init__(self):
        self.described = 0

    def describe(self, crops):
        self.described += len(crops)
        return F.pad(crops[..., 96:160, 96:160].mean((2, 3)), (0, 125))


def states(*frames: dict[str, Face], cuts: tuple[int, ...] = (), painted: bool = False) -> list[FrameState]:
    """Frames with tracks by name; none goes on across a cut."""
    result, shot, numbers = [], 0, {}
    for index, faces in enumerate(frames):
        shot += index in cuts
        tracked = [Tracked(one, numbers.setdefault((shot, name), len(numbers)), 1.0) for name, one in faces.items()]
        result.append(FrameState(Painted(faces) if painted else Noise(), [], tracked, SIZE, shot))
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


def test_who_leaves_and_returns_is_the_same_person():
    both, alone = {"b": face(600.0), "a": face(20.0)}, {"b": face(600.0)}
    returned = {"b": face(600.0), "a again": face(300.0)}
    swapped = {"a again": face(650.0), "b again": face(10.0)}
    for selection in (replace(LEFTMOST, numbers=(2,)), Selection(order="left", first=2, count=1)):  # which is b, never a
        for last in (returned, swapped):
            frames = states(*[both] * 15, *[alone] * 10, *[{}] * 3, *[last] * 15, painted=True)
            b = last.get("b again", face(600.0)).box[0]
            out = chosen(frames, selection, Extras(people=People(Colours())))
            assert out == [[600.0]] * 25 + [[]] * 3 + [[b]] * 15
    without = chosen(states(*[both] * 15, *[{}] * 3, *[swapped] * 15, painted=True), replace(LEFTMOST, numbers=(2,)))
    assert without[-1] == [650.0]  # by place, since nobody knows who they are


def test_a_person_is_chosen_wherever_she_is_and_nobody_else():
    frames = [passing(step) for step in range(30)]
    people = People(Colours(), torch.eye(128)[:1])
    for cuts in ((), (13,)):
        out = chosen(states(*frames, cuts=cuts, painted=True), extras=Extras(people=people))
        assert out == [[one["a"].box[0]] for one in frames]
    others = chosen(states(*frames, painted=True), Selection(others=True), Extras(people=people))
    assert others == [[one["b"].box[0]] for one in frames]


def test_strangers_are_looked_at_less_and_less_and_nobody_where_nobody_is_asked_for():
    frames = states(*[{"b": face(600.0)}] * 120, painted=True)
    looking = Colours()
    assert chosen(frames, extras=Extras(people=People(looking, torch.eye(128)[:1]))) == [[]] * 120
    assert looking.described == 5 * SAMPLES  # frames 0, 11, 22, 44, 88
    for selection, expected in ((Selection(), 0), (LARGEST, SAMPLES)):
        idle = Colours()
        chosen(frames, selection, Extras(people=People(idle)))
        assert idle.described == expected


def test_frame_by_frame_every_frame_is_chosen_in_by_itself():
    class Passing:
        step = -1

        def detect(self, images, options):
            self.step += 1
            return list(passing(self.step).values())

    options = FixOptions(selection=LEFTMOST, steady=False, chunk=1)
    people = Extras(people=People(Colours(), torch.eye(128)[:1]))
    frames = [Painted(passing(step)) for step in range(30)]
    left = [[one.face.box[0] for one in state.tracked] for state in track_stage(frames, Passing(), options, Extras(), "cpu")]
    assert left == [[min(20.0 + 20 * step, 600.0 - 20 * step)] for step in range(30)]
    options = replace(options, selection=Selection())
    person = [[one.face.box[0] for one in state.tracked] for state in track_stage(frames, Passing(), options, people, "cpu")]
    assert person[:10] + person[20:] == [[20.0 + 20 * step] for step in (*range(10), *range(20, 30))]  # not side by side


@pytest.mark.parametrize("wrong", [{"order": "middle"}, {"choice": "best"}, {"numbers": (0,)}])
def test_a_wrong_choice_raises_before_the_work(wrong):
    with pytest.raises(ValueError, match="is no |Found face number 0"):
        next(fix_stream(iter(()), None, None, FixOptions(selection=Selection(**wrong))))
