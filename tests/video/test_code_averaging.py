"""Codes agree over neighbouring frames of a track, and only there; little is held."""

import weakref

import pytest
import torch
import torch.nn.functional as F

from codeformer_core import checkpoints
from codeformer_core.networks.encoded import EncodedFaces, join_encoded
from codeformer_core.options import Steadiness
from codeformer_core.video.code_averaging import REACH, LogitAverager


def encoding(*logits: float) -> EncodedFaces:
    """Faces of one code each, whose two logits are a number and 0."""
    values = torch.tensor([[[value, 0.0]] for value in logits])
    return EncodedFaces(values, torch.zeros(len(logits), 1, 1, 1), {8: torch.zeros(len(logits), 1, 8, 8)})


def through(codes: LogitAverager, frames):
    out = []
    for tracks, encoded in frames:
        out += codes.push(tracks, encoded)
    return out + codes.finish()


def test_neighbours_are_weighted_by_distance():
    values = [0.0] * 4 + [8.0] + [0.0] * 4
    out = through(LogitAverager(0.5), [([7], encoding(value)) for value in values])
    whole = 1 + 2 * (0.5 + 0.25 + 0.125)
    expected = [0, 8 * 0.125 / whole, 8 * 0.25 / whole, 8 * 0.5 / whole, 8 / whole]
    found = [float(one.logits[0, 0, 0]) for one in out]
    # Near the ends of the track fewer frames share the weight.
    expected[1] *= whole / (whole - 0.25 - 0.125)
    expected[2] *= whole / (whole - 0.125)
    assert found == pytest.approx(expected + expected[3::-1])


def test_tracks_do_not_mix_and_keep_their_order():
    frames = [([1, 2], encoding(1.0, 2.0)), ([2, 1], encoding(2.0, 1.0)), ([], None), ([3, 1], encoding(5.0, 1.0))]
    out = through(LogitAverager(1.0), frames)
    assert out[2] is None
    assert [one.logits[:, 0, 0].tolist() for one in out if one] == [[1, 2], [2, 1], [5, 1]]


def test_a_code_flips_only_when_several_frames_agree():
    values = [1.0, 1.0, 1.0, -1.5, 1.0, 1.0, 1.0, 1.0, 1.0, -1.2, -1.2, -1.2, -1.2]
    out = through(LogitAverager(0.8), [([0], encoding(value)) for value in values])
    assert [int(one.logits.argmax(2)) for one in out] == [0] * 9 + [1] * 4


def test_zero_strength_changes_and_delays_nothing():
    codes, frame = LogitAverager(0.0), encoding(1.0)
    assert codes.delay == 0 and codes.push([0], encoding(5.0)) and codes.push([0], frame) == [frame]


def test_a_frame_comes_out_after_the_delay():
    codes = LogitAverager(0.8)
    counts = [len(codes.push([0], encoding(1.0))) for _ in range(6)]
    assert codes.delay == REACH and counts == [0] * REACH + [1] * (6 - REACH) and len(codes.finish()) == REACH


def test_encoder_maps_are_released_with_their_frame():
    codes, maps = LogitAverager(0.8), []
    for _ in range(3 * REACH):
        frame = encoding(1.0)
        maps.append(weakref.ref(frame.kept[8]))
        codes.push([0], frame)
        del frame
    assert sum(one() is not None for one in maps) == REACH


def test_inputs_are_not_modified():
    frames = [encoding(float(value)) for value in range(5)]
    before = [frame.logits.clone() for frame in frames]
    through(LogitAverager(0.9), [([0], frame) for frame in frames])
    assert all(torch.equal(frame.logits, one) for frame, one in zip(frames, before, strict=True))


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_a_strength_out_of_range_is_refused(strength):
    with pytest.raises(ValueError, match="Expected 0 .* to 1"):
        LogitAverager(strength)


def flips(frames: list[EncodedFaces]) -> float:
    """How many codes differ between two consecutive frames, on average."""
    codes = join_encoded(frames).logits.argmax(2)
    return float((codes[1:] != codes[:-1]).float().sum(1).mean())


def test_noise_flips_less_than_a_fifth_as_many_codes(tiny_checkpoint):
    network = checkpoints.load(tiny_checkpoint)
    generator = torch.Generator().manual_seed(0)
    still = F.interpolate(torch.rand(1, 3, 8, 8, generator=generator), size=network.side, mode="bilinear")
    noisy = [(still + 0.01 * torch.randn(still.shape, generator=generator)).clamp(0, 1) for _ in range(14)]
    alone = [network.encode_faces(image, 0.0) for image in noisy]
    steady = through(LogitAverager(Steadiness().strength), [([0], frame) for frame in alone])
    assert flips(alone) > 20
    assert flips(steady) < flips(alone) / 5
