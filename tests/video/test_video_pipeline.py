"""Consecutive frames: without smoothing each equals a still image, and results never depend on how frames are batched."""

import gc
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from codeformer_core import DetectionOptions, checkpoints, fix_faces
from codeformer_core.options import FixOptions, Selection, Steadiness
from codeformer_core.options.steadiness import OFF
from codeformer_core.pipeline import Extras
from codeformer_core.video import network_stages
from codeformer_core.video.pipeline import fix_frames, fix_stream

FRAMES = 14
OPTIONS = FixOptions(always=True, detection=DetectionOptions(side=160))


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint):
    return checkpoints.load(tiny_checkpoint)


@pytest.fixture(scope="module")
def clip(photo):
    """(14, 3, 160, 160): a portrait that moves to the right and is missing in the middle, with noise."""
    portrait = F.interpolate(photo("photos/astronaut_1face.png"), size=160, mode="bilinear", antialias=True)
    frames = torch.cat([portrait.roll(2 * index, 3) for index in range(FRAMES)])
    frames[6:8] = 0.5
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    return (frames + noise * 0.02).clamp(0, 1)


class Still:
    def __init__(self, pixels):
        self.pixels = pixels

    def image(self, device="cpu"):
        return self.pixels.to(device)


def stills(clip):
    return [Still(clip[index : index + 1]) for index in range(len(clip))]


def test_without_steadiness_every_frame_is_fixed_like_an_image(clip, known_faces, tiny):
    options = replace(OPTIONS, steady=False, chunk=4, fidelity=0.7, mask="box")
    for index, done in enumerate(fix_stream(stills(clip), known_faces, tiny, options)):
        alone = fix_faces(clip[index : index + 1], known_faces, tiny, replace(OPTIONS, fidelity=0.7, mask="box"))
        assert (done.image is None) == (len(alone.aligned) == 0) == (6 <= index < 8)
        if done.image is not None:
            assert torch.equal(done.image, alone.images) and torch.equal(done.mask, alone.mask)


@pytest.mark.parametrize("steadiness", [Steadiness(), OFF], ids=["steady", "off"])
def test_the_result_does_not_depend_on_the_chunk(clip, known_faces, tiny, steadiness):
    one, four, sixteen = (
        fix_frames(clip, known_faces, tiny, replace(OPTIONS, steadiness=steadiness, chunk=chunk)) for chunk in (1, 4, 16)
    )
    assert len(one.aligned) > FRAMES / 2
    for other in (four, sixteen):
        assert [face.image_index for face in other.aligned.faces] == [face.image_index for face in one.aligned.faces]
        assert torch.equal(other.images, one.images) and torch.equal(other.mask, one.mask)


class Twins:
    """Finds the face of the left half in both halves."""

    def __init__(self, detector):
        self.detector = detector

    def detect(self, images, options):
        half = images.shape[-1] // 2
        left = self.detector.detect(images[..., :half], options)
        return [*left, *(face.mapped(lambda x, y: (x + half, y)) for face in left)]


def test_each_face_has_the_fidelity_of_its_place_and_a_mask_raises_it(clip, known_faces, tiny):
    wide, twins = torch.cat([clip[:4], clip[:4]], 3), Twins(known_faces)
    options = replace(OPTIONS, selection=Selection(order="left"), batch=3)

    def fixed(*fidelity, steady=True, extras=Extras()):
        return fix_frames(wide, twins, tiny, replace(options, fidelity=fidelity, steady=steady), extras).images

    for steady in (True, False):
        low, high, own = fixed(0.0, steady=steady), fixed(1.0, steady=steady), fixed(0.0, 1.0, 0.5, steady=steady)
        assert (low - high)[..., :160].abs().mean() > 1e-3
        for half, expected in ((slice(0, 150), low), (slice(170, 320), high)):
            assert torch.allclose(own[..., half], expected[..., half], atol=1e-5)
    right = torch.zeros(1, 1, 160, 320)
    right[..., 160:] = 1
    assert torch.allclose(fixed(0.0, extras=Extras(fidelity_mask=right)), fixed(0.0, 1.0), atol=1e-5)


def test_faces_of_several_frames_share_batches(clip, known_faces, tiny):
    class Counting:
        side, sizes = tiny.side, []

        def encode_faces(self, crops, fidelity):
            self.sizes.append(len(crops))
            return tiny.encode_faces(crops, fidelity)

        decode_faces = staticmethod(tiny.decode_faces)

    fix_frames(clip[:6], known_faces, Counting(), replace(OPTIONS, batch=4))
    assert Counting.sizes == [4, 2]


def test_steadiness_changes_the_result(clip, known_faces, tiny):
    steady, alone = (fix_frames(clip, known_faces, tiny, replace(OPTIONS, steady=how)) for how in (True, False))
    assert not torch.allclose(steady.images, alone.images, atol=1e-3)


def test_frames_without_faces_are_unchanged(clip, known_faces, tiny):
    fixed = fix_frames(clip, known_faces, tiny, replace(OPTIONS, steady=False))
    assert torch.equal(fixed.images[6:8], clip[6:8]) and not fixed.mask[6:8].any()
    assert torch.equal(torch.where(fixed.mask > 0, 0.0, fixed.images), torch.where(fixed.mask > 0, 0.0, clip))
    assert fixed.mask[0].any() and fixed.mask[-1].any()


def test_the_clip_is_not_modified(clip, known_faces, tiny):
    before = clip.clone()
    fix_frames(clip, known_faces, tiny, OPTIONS)
    assert torch.equal(clip, before)


def test_the_number_of_frames_held_is_bounded(clip, known_faces, tiny):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield Still(clip[taken % 6 : taken % 6 + 1])

    options = replace(OPTIONS, steadiness=Steadiness(strength=0.5), chunk=4)
    behind = []
    for index, _ in enumerate(fix_stream(endless(), known_faces, tiny, options)):
        behind.append(taken - index - 1)
        if index == 40:
            break
    assert max(behind[20:]) <= max(behind[:20])


def test_a_face_that_appears_fades_in(clip, known_faces, tiny):
    hidden = clip[:4].clone()
    hidden[:, :, :80, 40:110] = 0.5  # behind something, in the same shot
    frames = torch.cat([hidden, clip[:6]])
    fixed = fix_frames(frames, known_faces, tiny, replace(OPTIONS, steadiness=Steadiness(fade_frames=3)))
    strongest = fixed.mask.flatten(1).amax(1).tolist()
    assert strongest[:4] == [0.0] * 4
    assert 0 < strongest[4] < strongest[5] < strongest[-1] == pytest.approx(1, abs=0.01)


def test_frames_are_enlarged_with_or_without_faces(clip, known_faces, tiny):
    fixed = fix_frames(clip[4:8], known_faces, tiny, replace(OPTIONS, steady=False, upscale=2.0))
    assert fixed.images.shape == (4, 3, 320, 320)
    alone = fix_faces(clip[4:5], known_faces, tiny, replace(OPTIONS, upscale=2.0))
    assert torch.equal(fixed.images[:1], alone.images)
    assert not fixed.mask[2:].any() and float(fixed.images[2:].std()) > 0


def test_a_result_that_is_not_finite_is_never_pasted(clip, known_faces, tiny):
    class Broken:
        side = tiny.side
        encode_faces = staticmethod(tiny.encode_faces)

        def decode_faces(self, encoded, fidelity, match_style):
            return tiny.decode_faces(encoded, fidelity, match_style) * float("nan")

    with pytest.raises(RuntimeError, match="not finite, .*so nothing was pasted"):
        fix_frames(clip[:4], known_faces, Broken(), OPTIONS)


@pytest.mark.parametrize("wrong", [{"chunk": 0}, {"mask": "circle"}, {"mask": "face"}])
def test_a_wrong_choice_raises_before_the_work(clip, known_faces, tiny, wrong):
    with pytest.raises(ValueError):
        next(fix_stream(iter(()), known_faces, tiny, replace(OPTIONS, **wrong)))


@pytest.mark.parametrize("name", ["inside", "keep_out", "fidelity_mask"])
def test_several_masks_are_rejected(clip, known_faces, tiny, name):
    with pytest.raises(ValueError, match=f"Found 14 masks as {name} for a sequence. Expected one"):
        fix_frames(clip, known_faces, tiny, OPTIONS, Extras(**{name: torch.ones(FRAMES, 1, 8, 8)}))


def test_a_mask_of_another_aspect_ratio_is_rejected(clip, known_faces, tiny):
    half = torch.linspace(0, 1, 160).expand(1, 1, 80, 160)
    with pytest.raises(ValueError, match="Found a mask of 160 x 80 as keep_out for images of 160 x 160"):
        fix_frames(clip, known_faces, tiny, OPTIONS, Extras(keep_out=half))


def test_a_keep_out_mask_limits_the_faces_of_every_frame(clip, known_faces, tiny):
    keep_out = torch.zeros(1, 1, 160, 160)
    keep_out[..., 80:] = 1
    fixed = fix_frames(clip[4:8], known_faces, tiny, OPTIONS, Extras(keep_out=keep_out))
    assert torch.equal(fixed.images[..., 80:], clip[4:8, ..., 80:]) and len(fixed.aligned)
    assert fixed.aligned.within.shape == (4, 1, 160, 160)
    for face in fixed.aligned.faces:
        assert torch.equal(fixed.aligned.within[face.image_index], 1 - keep_out[0])


def live_map_bytes(shapes: set[tuple[int, ...]]) -> int:
    """Bytes of all tensors that hold maps of one or more faces of these shapes, each storage once."""
    gc.collect()
    storages = {}
    for one in gc.get_objects():
        if type(one) is torch.Tensor and not one.is_nested and tuple(one.shape[1:]) in shapes:
            storages[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
    return sum(storages.values())


@pytest.fixture
def frozen_heap():
    """The garbage collector passes over what there is already, which is millions of objects late in the suite."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("most", [0, 5])
def test_crowds_hold_bounded_encoder_maps_with_the_same_result(clip, known_faces, tiny, monkeypatch, most, frozen_heap):
    class Crowd:
        """Three faces where the detector finds one."""

        def detect(self, images, options):
            found = known_faces.detect(images, options)
            return [
                face._replace(
                    box=tuple(value + move for value in face.box),
                    landmarks=tuple((x + move, y + move) for x, y in face.landmarks),
                )
                for face in found
                for move in (0.0, 30.0, 60.0)
            ]

    class Counting:
        side, peak, encoded = tiny.side, 0, 0

        def encode_faces(self, crops, fidelity):
            Counting.encoded += len(crops)
            return tiny.encode_faces(crops, fidelity)

        def decode_faces(self, encoded, fidelity, match_style):
            Counting.peak = max(Counting.peak, live_map_bytes(shapes))
            return tiny.decode_faces(encoded, fidelity, match_style)

    one = tiny.encode_faces(torch.rand(1, 3, tiny.side, tiny.side), 0.5)
    shapes = {tuple(one.features.shape[1:]), *(tuple(kept.shape[1:]) for kept in one.kept.values())}
    options = replace(OPTIONS, batch=2, fidelity=0.5, detection=replace(OPTIONS.detection, overlap=1.0))
    expected = fix_frames(clip[:6], Crowd(), Counting(), options)
    faces, unbounded = Counting.encoded, Counting.peak
    assert faces >= 12 and unbounded > 9 * one.map_bytes
    Counting.peak = Counting.encoded = 0
    monkeypatch.setattr(network_stages.MapBudget.__init__, "__defaults__", (most * one.map_bytes,))
    bounded = fix_frames(clip[:6], Crowd(), Counting(), options)
    assert torch.equal(bounded.images, expected.images) and torch.equal(bounded.mask, expected.mask)
    assert Counting.peak <= (most + 2 * options.batch + 1) * one.map_bytes and Counting.encoded > faces


def test_a_face_or_two_in_a_frame_are_encoded_once(clip, known_faces, tiny):
    """The budget at the released size: three frames ahead and a batch of 8 in both stages."""
    face = 46 * 10**6
    assert (2 * 3 + 8 + 7) * face < network_stages.MOST
