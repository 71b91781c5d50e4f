"""The likeness of restored faces, and the lowest fidelity that keeps it, with a recogniser that compares brightness."""

import pytest
import torch

from codeformer_core import Extras, FixOptions, Selection, fix_aligned, fix_faces
from codeformer_core.align import wrap_aligned_images
from codeformer_core.recognition import People
from codeformer_core.recognition.likeness import restore_measured
from codeformer_core.video.pipeline import fix_frames


class Brightness:
    """A recogniser: who somebody is, is how bright."""

    def describe(self, crops):
        rows = torch.zeros(len(crops), 128)
        rows[:, 0] = crops.mean((1, 2, 3))
        return rows


class Whitening:
    """A restorer: white at a fidelity of 0, the input at 1; counts its encodings and decodings."""

    side = 64

    def __init__(self):
        self.calls = {"encode": 0, "decode": 0}

    def restore(self, crops, fidelity, match_style):
        return self.decode_faces(self.encode_faces(crops, fidelity), fidelity)

    def encode_faces(self, crops, fidelity):
        self.calls["encode"] += 1
        return crops

    def decode_faces(self, encoded, fidelity, match_style=True):
        self.calls["decode"] += 1
        weight = torch.as_tensor(fidelity).reshape(-1, 1, 1, 1)
        return torch.lerp(torch.ones_like(encoded), encoded, weight)


class Stranger(Whitening):
    """At 1 it draws a face of a fifth of the brightness."""

    def decode_faces(self, encoded, fidelity, match_style=True):
        return super().decode_faces(encoded * 0.2, fidelity)


PEOPLE = People(Brightness())


def faces(*levels):
    return wrap_aligned_images(torch.cat([torch.full((1, 3, 64, 64), level) for level in levels]), 64)


def options(likeness, distance=0.3, **values):
    return FixOptions(likeness=likeness, selection=Selection(distance=distance), grey="off", always=True, **values)


def restore(aligned, restorer, fidelity, likeness, people=PEOPLE, **values):
    return restore_measured(aligned, restorer, fidelity, options(likeness, **values), people)


def test_the_fidelity_rises_just_as_far_as_it_must():
    restorer = Whitening()
    restored = restore(faces(0.2, 0.9), restorer, 0.0, "keep")  # 0.2 becomes 1 - 0.8 w, which must be at most 0.5
    dark, bright = restored.likeness
    assert 0.625 <= dark.fidelity <= 0.625 + 1 / 8 and dark.distance <= 0.3
    assert bright == pytest.approx((0.1, 0.0), abs=1e-6)
    assert restorer.calls == {"encode": 2, "decode": 5 + 1}
    assert restored.crops[0].mean().item() == pytest.approx(1 - 0.8 * dark.fidelity, abs=1e-5)


@pytest.mark.parametrize("fidelity", [0.7, torch.tensor([0.7, 0.7]), torch.full((2, 1, 8, 8), 0.7)])
def test_the_search_begins_at_the_chosen_fidelity_of_each_kind(fidelity):
    restored = restore(faces(0.2, 0.9), Whitening(), fidelity, "keep")
    assert [one.fidelity for one in restored.likeness] == pytest.approx([0.7, 0.7])


def test_measuring_changes_nothing_and_off_asks_nobody():
    aligned = faces(0.2, 0.9)
    plain, measured = restore(aligned, Whitening(), 0.5, "off", None), restore(aligned, Whitening(), 0.5, "measure")
    assert torch.equal(plain.crops, measured.crops) and plain.likeness == ()
    assert [one.distance for one in measured.likeness] == pytest.approx([0.4, 0.05], abs=1e-5)
    assert measured.subset([1]).likeness == measured.likeness[1:]
    parts = [measured.of_image(0), measured.of_image(1)]
    assert type(measured).joined(parts).likeness == measured.likeness


def test_a_reference_takes_the_place_of_the_face_as_it_was():
    asked = People(Brightness(), Brightness().describe(torch.zeros(1, 3, 8, 8)))
    (one,) = restore(faces(0.2), Whitening(), 1.0, "measure", asked).likeness
    assert one.distance == pytest.approx(0.2, abs=1e-5)


def test_a_face_that_is_nobody_any_more_is_left_alone_with_the_reason():
    images = torch.stack([torch.full((3, 64, 64), level) for level in (0.9, 0.8)])
    fixed = fix_aligned(images, Stranger(), options("keep", distance=0.15, fidelity=0.0), Extras(people=PEOPLE))
    assert [one.distance for one in fixed.aligned.likeness] == pytest.approx([0.1], abs=1e-5)
    ((face, why),) = fixed.skipped
    assert face.image_index == 1 and "another person at every fidelity: 0.64" in why
    assert torch.equal(fixed.images[1], images[1]) and not fixed.mask[1].any() and fixed.mask[0].any()


def test_a_network_without_a_fidelity_is_measured_once_more_and_left_alone():
    class Fixed(Whitening):
        def decode_faces(self, encoded, fidelity, match_style=True):
            return super().decode_faces(encoded, 0.0)

    restorer = Fixed()
    fixed = fix_aligned(torch.full((1, 3, 64, 64), 0.2), restorer, options("keep"), Extras(people=PEOPLE))
    assert not len(fixed.aligned) and restorer.calls == {"encode": 1, "decode": 2}


def test_what_cannot_be_is_a_sentence(known_faces):
    image = torch.zeros(1, 3, 64, 64)
    with pytest.raises(ValueError, match="nothing tells people apart"):
        fix_aligned(image, Whitening(), options("keep"))
    with pytest.raises(ValueError, match="in images only"):
        fix_frames(image, known_faces, Whitening(), options("measure"), Extras(people=PEOPLE))


def test_no_face_is_no_work(known_faces):
    image = torch.zeros(1, 3, 64, 64)
    fixed = fix_faces(image, known_faces, Whitening(), options("keep"), Extras(people=PEOPLE))
    assert torch.equal(fixed.images, image) and fixed.aligned.likeness == ()
