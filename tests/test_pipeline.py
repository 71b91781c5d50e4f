"""The steps in their order: what is restored, what is left alone, and what stops the run."""

from functools import partial

import pytest
import torch

from codeformer_core import DetectionOptions, checkpoints, fix_faces, networks, restore
from codeformer_core.align import align
from codeformer_core.imaging.colour import COLOURS, luminance, match_colours
from codeformer_core.imaging.overlay import draw_faces
from codeformer_core.imaging.resize import resize
from codeformer_core.networks.parsers import ParseNet
from codeformer_core.options import FixOptions, Selection
from codeformer_core.paste import paste
from codeformer_core.pipeline import Extras, apply_to_faces, fix_aligned
from codeformer_core.restoration import colorize, inpaint

#: The defaults for a network of 512 pixels; the small ones of these tests would be held to doing no harm, see test_harm.py.
as_published = partial(FixOptions, always=True, keep_detail="off", colour="as restored")


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint):
    return checkpoints.load(tiny_checkpoint)


@pytest.fixture(scope="module")
def crew(photo):
    return photo("photos/nasa_sts114_crew_7faces.jpg")


@pytest.fixture(scope="module")
def portrait(photo):
    """(1, 3, 240, 240), smaller than a crop."""
    return resize(photo("photos/astronaut_1face.png"), 240)


class Recorder:
    """The identity, with a note of every call."""

    side, task = 128, "restoration"

    def __init__(self):
        self.calls = []

    def restore(self, crops, fidelity, match_style):
        self.calls.append((len(crops), fidelity, match_style))
        return crops


def test_seven_faces_are_restored(crew, known_faces, tiny):
    fixed = fix_faces(crew, known_faces, tiny, as_published(fidelity=0.7))
    assert len(fixed.aligned) == 7 and not fixed.skipped
    assert fixed.aligned.crops.shape == (7, 3, tiny.side, tiny.side)
    for face in fixed.aligned.faces:
        x, y = (round(v) for v in face.centre)
        assert float(fixed.mask[0, 0, y, x]) == pytest.approx(1, abs=0.01)
        assert not torch.equal(fixed.images[0, :, y, x], crew[0, :, y, x])


def test_an_image_without_faces_is_returned_unchanged(crew, known_faces, tiny):
    image = crew[..., 420:, :]  # below the faces
    fixed = fix_faces(image, known_faces, tiny, as_published())
    assert torch.equal(fixed.images, image) and not fixed.mask.any() and len(fixed.aligned) == 0


def test_faces_that_are_not_selected_keep_their_pixels(crew, known_faces, tiny):
    fixed = fix_faces(crew, known_faces, tiny, as_published(selection=Selection(choice="largest")))
    assert len(fixed.aligned) == 1 and len(fixed.skipped) == 6
    for face, reason in fixed.skipped:
        assert reason == "not the largest face of the image"
        x, y = (round(v) for v in face.centre)
        assert torch.equal(fixed.images[0, :, y, x], crew[0, :, y, x])


def test_small_images_keep_their_size(portrait, known_faces, tiny):
    fixed = fix_faces(portrait, known_faces, tiny, as_published())
    assert fixed.images.shape == portrait.shape and len(fixed.aligned) == 1


@pytest.mark.parametrize("upscale", [2, 1.5, 0.5])
def test_upscale_sets_the_size(portrait, known_faces, tiny, upscale):
    height, width = portrait.shape[-2:]
    images = fix_faces(portrait, known_faces, tiny, as_published(upscale=upscale)).images
    assert images.shape[-2:] == (int(height * upscale), int(width * upscale))


def test_faces_go_through_the_network_in_batches(crew, known_faces):
    recorder, ticks = Recorder(), []
    options = as_published(batch=3, fidelity=0.2, match_style=False)
    fix_faces(crew, known_faces, recorder, options, progress=lambda unit: lambda *t: ticks.append(t))
    assert recorder.calls == [(3, 0.2, False), (3, 0.2, False), (1, 0.2, False)]
    assert ticks == [(0, 7), (3, 7), (6, 7), (7, 7)]


def test_each_batch_gets_the_fidelities_of_its_faces(crew, known_faces):
    recorder = Recorder()
    fix_faces(crew, known_faces, recorder, as_published(batch=4, fidelity=tuple(number / 7 for number in range(7))))
    assert [len(call[1]) for call in recorder.calls] == [4, 3]
    assert torch.equal(torch.cat([call[1] for call in recorder.calls]), torch.arange(7) / 7)


def test_a_tick_that_raises_stops_the_run(crew, known_faces):
    recorder = Recorder()

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fix_faces(crew, known_faces, recorder, as_published(), progress=lambda unit: stop)
    assert len(recorder.calls) == 2


def test_crops_that_are_not_finite_are_never_pasted(crew, known_faces):
    class Broken(Recorder):
        def restore(self, crops, fidelity, match_style):
            return crops * float("nan")

    with pytest.raises(RuntimeError, match="The network gave values that are not finite, .*nothing was pasted"):
        fix_faces(crew, known_faces, Broken(), as_published())


def test_greyscale_images_stay_grey(photo, known_faces, tiny):
    image = photo("photos/camera_gray_L_1face.png")
    fixed = fix_faces(image, known_faces, tiny, as_published(grey="auto"))
    assert len(fixed.aligned) == 1 and not torch.equal(fixed.images, image)
    red, green, blue = fixed.images[0]
    assert torch.equal(red, green) and torch.equal(green, blue)
    original, crop = fixed.aligned.originals, fixed.aligned.crops
    assert torch.allclose(crop.mean(), original.mean(), atol=0.02) and torch.allclose(crop.std(), original.std(), atol=0.03)
    red, green, _ = fix_faces(image, known_faces, tiny, as_published(grey="off")).images[0]
    assert not torch.equal(red, green)


def test_grey_on_makes_crops_of_colour_images_grey(crew, known_faces, tiny):
    aligned = restore(align(crew, known_faces.detect(crew), tiny.side), tiny, grey="on")
    assert torch.allclose(aligned.crops[:, 0], aligned.crops[:, 1], atol=1e-6)
    with pytest.raises(ValueError, match="'maybe' is no choice for grey. Use one of: auto, on, off, reference"):
        restore(aligned, tiny, grey="maybe")


@pytest.mark.parametrize("tint", [(1, 0.94, 0.80), (1, 0.97, 0.92), (0.8, 0.9, 1)], ids=str)
def test_a_toned_face_keeps_the_tint_of_its_image(photo, known_faces, tiny, tint):
    """Orange over 0.6 % of the image is a date stamp; "reference" colours such a face, as the official program does."""
    image = (
        photo("photos/astronaut_1face.png").mul(torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
    )
    image = image * torch.tensor(tint).reshape(1, 3, 1, 1)
    image[:, :, 470:490, 400:480] = torch.tensor([1, 0.5, 0.1]).reshape(3, 1, 1)
    toned, official = (fix_faces(image, known_faces, tiny, as_published(grey=grey)).aligned for grey in ("auto", "reference"))
    expected = toned.originals.mean((0, 2, 3)) / toned.originals.mean()
    assert torch.allclose(toned.crops.mean((0, 2, 3)) / toned.crops.mean(), expected, atol=0.01)

    def distance_from_one_tint(crops):
        return (crops - torch.tensor(tint).reshape(1, 3, 1, 1) * crops.mean(1, keepdim=True) / (sum(tint) / 3)).abs().mean()

    assert distance_from_one_tint(toned.crops) < 0.01 < distance_from_one_tint(official.crops)


def test_aligned_images_are_restored_as_a_whole(tiny):
    for side, expected in ((tiny.side - 24, tiny.side), (tiny.side + 36, tiny.side + 36)):
        images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
        assert fix_aligned(images, tiny, as_published(fidelity=0.3)).images.shape == (2, 3, expected, expected)
    exact = torch.rand(1, 3, tiny.side, tiny.side, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fix_aligned(exact, tiny, as_published(fidelity=0.3, grey="off")).images, tiny.restore(exact, 0.3))


def test_faces_of_several_images_share_a_batch(crew, known_faces):
    pair = crew[..., 1030:]  # two of the seven
    recorder = Recorder()
    fixed = fix_faces(torch.cat([pair, pair.roll(9, 3)]), known_faces, recorder, as_published(batch=8))
    assert [call[0] for call in recorder.calls] == [4]
    assert [face.image_index for face in fixed.aligned.faces] == [0, 0, 1, 1]


def test_parsenet_loads_synthetic_weights_in_the_official_layout(crew, known_faces, tiny):
    """They load strictly, and every pixel gets a label; the official file is not part of the test data."""

    torch.manual_seed(0)
    state = {name.removeprefix("network."): value for name, value in ParseNet().state_dict().items()}
    weights = {name: torch.randn(value.shape) * 0.05 for name, value in state.items()}
    parser = networks.load({name: value.abs() if "running_var" in name else value for name, value in weights.items()})
    labels = parser.parse(torch.rand(1, 3, 64, 64))
    assert labels.shape == (1, 512, 512) and labels.min() >= 0 and labels.max() < 19


def test_detection_options_reach_the_detector(crew, known_faces):
    fix_faces(crew, known_faces, Recorder(), as_published(detection=DetectionOptions(side=64)))
    assert known_faces.options == DetectionOptions(side=64)


def test_the_preview_marks_faces_and_leaves_its_input_unchanged(crew, known_faces):
    before = crew.clone()
    drawn = draw_faces(crew, known_faces.detect(crew))
    assert torch.equal(crew, before)
    marked = (drawn != crew).any(1)
    assert 0.001 < marked.float().mean() < 0.1


class HalfBrown:
    """A colorizer that makes everything brown."""

    side = 128

    def colorize(self, crops):
        return torch.lerp(crops, torch.tensor([0.6, 0.4, 0.2]).reshape(1, 3, 1, 1), 0.5)


class Filler:
    """An inpainter that fills with red."""

    side = 128

    def inpaint(self, crops, holes):
        return torch.lerp(crops, torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1), holes)


def test_keep_luminance_changes_only_chroma(photo, known_faces):
    image = photo("photos/camera_gray_L_1face.png")
    fixed = apply_to_faces(
        image, known_faces, 128, lambda a: colorize(a, HalfBrown(), keep_luminance=True), as_published(keep_detail=True)
    )
    assert len(fixed.aligned) == 1
    assert (luminance(fixed.images) - luminance(image)).abs().max() < 2e-3
    inside = (fixed.mask > 0.9)[0, 0]
    assert (fixed.images[0, 0] - fixed.images[0, 2])[inside].mean() > 0.05
    plain = apply_to_faces(image, known_faces, 128, lambda a: colorize(a, HalfBrown()))
    assert (luminance(plain.images) - luminance(image)).abs().max() > 0.05


def test_inpainting_changes_the_hole_and_nothing_else(crew, known_faces):
    target = known_faces.detect(crew)[2]
    x, y = (round(v) for v in target.centre)
    holes = torch.zeros(1, 1, *crew.shape[-2:])
    holes[..., y - 12 : y + 12, x - 15 : x + 15] = 1
    fixed = apply_to_faces(crew, known_faces, 128, lambda a: inpaint(a, Filler(), holes))
    assert [face.box for face in fixed.aligned.faces] == [target.box]
    known = (holes == 0).expand_as(crew)
    assert torch.equal(fixed.images[known], crew[known])
    assert torch.allclose(fixed.images[0, :, y, x], torch.tensor([1.0, 0.0, 0.0]), atol=0.02)


def test_holes_may_have_another_size_than_the_image(crew, known_faces):
    holes = torch.zeros(1, 1, 300, 500)
    assert len(apply_to_faces(crew, known_faces, 128, lambda a: inpaint(a, Filler(), holes)).aligned) == 0
    assert len(apply_to_faces(crew, known_faces, 128, lambda a: inpaint(a, Filler(), holes + 1)).aligned) == 7


def gradient_energy(image: torch.Tensor) -> torch.Tensor:
    light = luminance(image)
    return light.diff(dim=3)[..., 1:, :].square() + light.diff(dim=2)[..., 1:].square()


def test_keep_detail_keeps_a_large_face_sharp(photo, known_faces):
    image = photo("photos/astronaut_1face.png")

    class Brighter(Recorder):
        def restore(self, crops, fidelity, match_style):
            return (crops + 0.01).clamp(0, 1)

    def energy(restorer, keep_detail):
        fixed = fix_faces(image, known_faces, restorer, as_published(keep_detail=keep_detail))
        inside = (fixed.mask > 0.99)[..., 1:, 1:]
        return gradient_energy(fixed.images)[inside].mean(), gradient_energy(image)[inside].mean()

    kept, original = energy(Recorder(), True)
    assert abs(kept / original - 1) < 1e-3
    plain, _ = energy(Recorder(), False)
    assert plain < 0.8 * original
    corrected, _ = energy(Brighter(), True)
    assert corrected > 1.2 * energy(Brighter(), False)[0]


def test_keep_detail_adds_no_detail_where_the_network_corrected(photo, known_faces):
    image = photo("photos/astronaut_1face.png")

    class Flat(Recorder):
        def restore(self, crops, fidelity, match_style):
            return torch.full_like(crops, 0.5)

    fixed = fix_faces(image, known_faces, Flat(), as_published(keep_detail=True))
    shown = fix_faces(image, known_faces, Recorder(), as_published()).images  # the image as coarse as the crop
    far = (luminance(shown) - 0.5).abs() > 0.15
    inside = far & (fixed.mask > 0.999)
    assert inside.any() and (fixed.images - 0.5).abs().amax(1, keepdim=True)[inside].max() < 0.05


def test_colour_matching_gives_crops_the_colours_of_the_originals(crew, known_faces):
    class Tinted(Recorder):
        def restore(self, crops, fidelity, match_style):
            return (crops * torch.tensor([0.7, 1.0, 0.8]).reshape(1, 3, 1, 1)).clamp(0, 1)

    def shift(colour):
        aligned = fix_faces(crew, known_faces, Tinted(), as_published(colour=colour)).aligned
        return (aligned.crops - aligned.originals).mean((0, 2, 3)).abs().max()

    assert shift("as restored") > 0.1
    assert shift("mean and spread") < 0.01 and shift("coarse colours") < 0.01
    with pytest.raises(ValueError, match="'vivid' is no choice for colour. Use one of: auto, as restored"):
        fix_faces(crew, known_faces, Tinted(), as_published(colour="vivid"))


@pytest.mark.parametrize("colour", COLOURS)
def test_colour_matching_works_in_half_precision(colour):
    crops, originals = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    half = match_colours(crops.half(), originals.half(), colour)
    assert half.dtype == torch.half and (half - match_colours(crops, originals, colour)).abs().max() < 0.005


def test_upscaled_crops_and_backgrounds_are_used(crew, known_faces):
    class Double:
        scale = 2

        def __call__(self, images):
            return torch.nn.functional.interpolate(images, scale_factor=2, mode="bicubic").clamp(0, 1)

    double = Double()
    extras = Extras(upscaler=double, face_upscaler=double)
    fixed = fix_faces(crew, known_faces, Recorder(), as_published(upscale=2, tile=0), extras)
    assert fixed.images.shape[-2:] == (2 * crew.shape[-2], 2 * crew.shape[-1])
    assert fixed.aligned.crops.shape[-1] == 256
    outside = (fixed.mask == 0).expand_as(fixed.images)
    assert torch.equal(fixed.images[outside], double(crew)[outside])


def test_only_faces_inside_an_area_are_restored(crew, known_faces):
    area = torch.zeros(1, 1, 10, 16)
    area[..., :8] = 1
    fixed = fix_faces(crew, known_faces, Recorder(), as_published(), Extras(inside=area))
    middle = crew.shape[-1] / 2
    assert fixed.aligned.faces and all(face.centre[0] < middle for face in fixed.aligned.faces)
    assert all(face.centre[0] > middle - 60 for face, _ in fixed.skipped) and len(fixed.aligned) + len(fixed.skipped) == 7


def test_sharp_faces_can_be_skipped(crew, known_faces):
    blurred = torch.nn.functional.avg_pool2d(crew, 9, stride=1, padding=4)
    half = torch.cat([crew[..., : crew.shape[-1] // 2], blurred[..., crew.shape[-1] // 2 :]], dim=3)
    fixed = fix_faces(half, known_faces, Recorder(), as_published(selection=Selection(sharpness=0.3)))
    assert fixed.skipped and all("good already" in reason for _, reason in fixed.skipped)
    assert fixed.aligned.faces and all(face.centre[0] > crew.shape[-1] / 2 - 60 for face in fixed.aligned.faces)


def test_steps_can_be_chained(crew, known_faces, tiny):
    aligned = align(crew, known_faces.detect(crew), tiny.side)
    once = restore(aligned, tiny, 0.5)
    assert torch.equal(restore(once, tiny, 0.5).crops, restore(aligned.with_crops(once.crops), tiny, 0.5).crops)
    assert not torch.equal(restore(once, tiny, 0.5).crops, once.crops)


def test_restoring_keeps_the_colours_of_a_colorized_face(photo, known_faces):
    image = photo("photos/camera_gray_L_1face.png")
    fixed = apply_to_faces(image, known_faces, 128, lambda a: restore(colorize(a, HalfBrown()), Recorder()))
    assert (fixed.aligned.crops[:, 0] - fixed.aligned.crops[:, 2]).mean() > 0.05


def test_crops_of_another_side_are_resized_for_the_network(crew, known_faces):
    aligned = align(crew, known_faces.detect(crew))
    restored = restore(aligned, Recorder(), 0.5)
    assert aligned.side == 512 and restored.crops.shape[-1] == Recorder.side == 128 and restored.side == 512
    pasted, mask = paste(crew, restored)
    direct = fix_faces(crew, known_faces, Recorder(), as_published())
    assert (pasted - direct.images).abs().mean() < 1e-3 and torch.allclose(mask, direct.mask, atol=0.1)


def test_a_negative_batch_is_refused(crew, known_faces):
    with pytest.raises(ValueError, match="Found -1 as batch. Expected a whole number from 0 on"):
        fix_faces(crew, known_faces, Recorder(), as_published(batch=-1))


def test_colorizing_with_keep_luminance_keeps_the_restoration(photo, known_faces):
    class Darker(Recorder):
        def restore(self, crops, fidelity, match_style):
            return crops * 0.5

    image = photo("photos/camera_gray_L_1face.png")
    aligned = restore(align(image, known_faces.detect(image), 128), Darker(), grey="off")
    coloured = colorize(aligned, HalfBrown(), keep_luminance=True)
    assert torch.allclose(luminance(coloured.crops), luminance(aligned.crops), atol=1e-3)


def test_without_faces_any_number_of_fidelities_is_accepted(crew, known_faces, tiny):
    image = crew[..., 420:, :]  # below the faces
    assert torch.equal(fix_faces(image, known_faces, tiny, as_published(fidelity=(0.2, 0.8))).images, image)
