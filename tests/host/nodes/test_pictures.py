"""Faces from other nodes, enlarged images, and unusual images."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

DETECTION = {"choice": "all", "side": 640, "confidence": 0.8, "overlap": 0.4, "eye_distance": 5.0}
FIXING = {**DETECTION, "fidelity": 0.5, "upscale": 1.0, "mask": "square", "match_style": True, "grey": "auto"}
BOX = {"x": 30, "y": 20, "width": 40, "height": 40}


def detect(pack, picture, **inputs):
    return pack.run("CodeFormerFaceDetect", image=picture, **{**DETECTION, **inputs}).result


@pytest.fixture
def astronaut(photo):
    """The astronaut as an IMAGE (1, 512, 512, 3)."""
    return photo("photos/astronaut_1face.png").movedim(1, -1)


@pytest.fixture(scope="module")
def detector(pack, shared):
    """The official RetinaFace MobileNet0.25, hosted."""
    return pack.hosted.HostedDetector(pack.network(shared / "data/detectors/detection_mobilenet0.25_Final.pth"))


def centre(faces):
    return faces.faces[0].centre


# --- faces from elsewhere -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["a box", "a list", "a list for each image"])
def test_faces_are_searched_inside_the_hosts_bounding_boxes(pack, detector, astronaut, shape):
    found = detect(pack, astronaut, detector=detector)
    (box,) = found[1][0]
    boxes = {"a box": box, "a list": [box], "a list for each image": [[box]]}[shape]
    again = detect(pack, astronaut, detector=detector, bboxes=boxes)
    assert again[2] == 1 and centre(again[0]) == pytest.approx(centre(found[0]), abs=6)


def test_a_box_without_a_face_says_that_its_pose_is_a_guess(pack, picture, caplog):
    with caplog.at_level("INFO"):
        faces, boxes, count, _, _ = detect(pack, picture, detector=pack.finds(), bboxes=BOX)
    assert count == 2 and boxes[0][0]["x"] == 30.0 and faces.faces[0].score == 0 and "is a guess" in caplog.text


def test_saved_faces_come_back_without_a_detector(pack, picture, one_face):
    found = detect(pack, picture, detector=one_face)
    again = detect(pack, picture, saved=found[4])
    assert again[0].faces == found[0].faces and torch.equal(again[0].crops, found[0].crops)
    larger = torch.nn.functional.interpolate(picture.movedim(-1, 1), scale_factor=2).movedim(1, -1)
    assert detect(pack, larger, saved=found[4])[0].faces[0].box == (60.5, 40.5, 140.5, 120.5)  # pixel centres


def test_the_hosts_landmarks_need_no_detector(pack, picture):
    mesh = torch.rand(478, 2) * 10 + 40
    at = {468: (40, 30), 473: (60, 30), 1: (50, 42), 61: (43, 52), 291: (57, 52)}
    for index, point in at.items():
        mesh[index] = torch.tensor(point, dtype=torch.float32)
    landmarks = {"frames": [[{"landmarks_xy": mesh.numpy(), "score": 0.9}], []], "image_size": (90, 120)}
    faces = detect(pack, picture, landmarks=landmarks)[0]
    assert [face.landmarks[0] for face in faces.faces] == [(40.0, 30.0)]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "no face detector.*Connect Load Face Detector"),
        ({"bboxes": BOX, "saved": "{}"}, "Expected one of them"),
        ({"saved": "faces"}, "not JSON"),
        ({"bboxes": [[], [], []], "detector": True}, "3 images and 2 images"),
        ({"bboxes": {**BOX, "x": 500}, "detector": True}, "outside the image"),
    ],
    ids=["nothing", "two sources", "not JSON", "another count", "another picture"],
)
def test_missing_or_conflicting_face_sources_are_errors_that_say_what_to_do(pack, picture, one_face, inputs, says):
    if "detector" in inputs:
        inputs = {**inputs, "detector": one_face}
    with pytest.raises(ValueError, match=says):
        detect(pack, picture, **inputs)


def test_turned_faces_are_found_when_asked_for(pack, detector, astronaut):
    hanging = torch.rot90(astronaut, 2, (1, 2))
    faces = detect(pack, hanging, detector=detector, rotated=True)[0]
    left, right, _, mouth, _ = faces.faces[0].landmarks
    assert len(faces) == 1 and left[0] > right[0] and mouth[1] < left[1]


def test_tiny_faces_are_found_in_tiles(pack, detector, astronaut):
    wide = torch.full((1, 1600, 1600, 3), 0.5)
    small = torch.nn.functional.interpolate(astronaut.movedim(-1, 1), size=160, mode="bilinear", antialias=True)
    wide[:, 200:360, 200:360] = small.movedim(1, -1)
    inputs = {"detector": detector, "side": 320, "eye_distance": 0.0}
    assert detect(pack, wide, **inputs)[2] == 0
    assert detect(pack, wide, **inputs, tile=320)[2] == 1


# --- enlarged images ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upscaler(shared, pack):
    """A real upscaler of factor 2, as the host's loader makes it."""
    import comfy.model_management as mm
    import comfy.model_patcher
    from spandrel import ModelLoader

    weights = pack.core("checkpoints").read(Path(shared, "data/upscaler/2x_dctlsa_X2.pt"))
    descriptor = ModelLoader().load_from_state_dict(weights).eval()
    descriptor.patcher = comfy.model_patcher.CoreModelPatcher(
        descriptor.model, load_device=mm.get_torch_device(), offload_device=mm.unet_offload_device()
    )
    return descriptor


def test_fix_faces_enlarges_the_background_with_a_model(pack, restorer, upscaler, picture, one_face):
    picture = picture[:1, :48, :80]
    inputs = {"image": picture, "model": restorer, "detector": one_face, **FIXING, "upscale": 2.0}
    fixed, mask, _, _ = pack.run("CodeFormerFixFaces", upscale_model=upscaler, **inputs).result
    with torch.inference_mode():
        expected = upscaler(picture.movedim(-1, 1)).movedim(1, -1)

    assert fixed.shape == (1, 96, 160, 3) and torch.allclose(fixed[mask == 0], expected[mask == 0], atol=0.002)
    plain = pack.run("CodeFormerFixFaces", **inputs).result[0]
    assert not torch.allclose(fixed[mask == 0], plain[mask == 0], atol=0.01)


def test_cancel_takes_effect_within_one_tile(pack, upscaler, picture):
    import comfy.model_management as mm

    layers = [part for part in upscaler.model.modules() if isinstance(part, torch.nn.Conv2d)]
    reached = []
    hooks = [layers[0].register_forward_hook(lambda *_: mm.interrupt_current_processing(True))]
    hooks += [layers[-1].register_forward_hook(lambda *_: reached.append("the end"))]
    with pytest.raises(mm.InterruptProcessingException):
        pack.hosted.HostedUpscaler(upscaler)(picture.movedim(-1, 1))
    for hook in hooks:
        hook.remove()
    assert not reached and not any(part._forward_pre_hooks for part in upscaler.model.modules())


def test_fix_faces_enlarges_the_faces_with_a_model(pack, restorer, upscaler, picture, one_face):
    inputs = {"image": picture[:1], "model": restorer, "detector": one_face, **FIXING, "upscale": 2.0}
    _, _, faces, _ = pack.run("CodeFormerFixFaces", face_upscale_model=upscaler, **inputs).result
    assert faces.side == 64 and faces.crops.shape == (1, 3, 128, 128)


def test_when_memory_runs_out_the_tile_is_halved(pack, restorer, picture, one_face):
    sizes = []

    class Small:
        """An upscaler on a device that holds 128 pixels."""

        scale, model = 1, torch.nn.Identity()

        def __init__(self):
            import comfy.model_patcher

            cpu = torch.device("cpu")
            self.patcher = comfy.model_patcher.CoreModelPatcher(torch.nn.Identity(), load_device=cpu, offload_device=cpu)

        def __call__(self, image):
            sizes.append(image.shape[-1])
            if image.shape[-1] > 240:
                raise torch.OutOfMemoryError("out of memory")
            return 1 - image

    wide = torch.rand(1, 90, 320, 3)
    settings = {**FIXING, "upscale_model": Small(), "tile": 0}
    fixed = pack.run("CodeFormerFixFaces", image=wide, model=restorer, detector=pack.finds(), **settings).result[0]
    assert sizes[0] == 320 and max(sizes[1:]) <= 240 and torch.allclose(fixed, 1 - wide)


def test_faces_larger_than_a_limit_are_left_alone(pack, restorer, picture, one_face, caplog):
    with caplog.at_level("INFO"):
        inputs = {"image": picture, "model": restorer, "detector": one_face, **FIXING, "largest": 39}
        fixed = pack.run("CodeFormerFixFaces", **inputs).result
    assert torch.equal(fixed[0], picture) and fixed[3] == 0 and "larger than 39" in caplog.text


def test_a_large_face_keeps_its_detail(pack):
    picture = torch.rand(1, 400, 400, 3, generator=torch.Generator().manual_seed(3))
    found = pack.finds((100.0, 100.0, 300.0, 300.0)).detect(picture, None)
    faces = pack.core("align").align(picture.movedim(-1, 1), found, 64)  # as restored by a network that changes nothing
    inputs = {"image": picture, "faces": faces, "mask": "square", "always": True}
    plain, mask = pack.run("CodeFormerPasteBack", **inputs, keep_detail=False).result
    kept, _ = pack.run("CodeFormerPasteBack", **inputs, keep_detail=True).result
    assert (kept - picture)[mask > 0.9].abs().mean() < 0.01 < 0.1 < (plain - picture)[mask > 0.9].abs().mean()


def test_colours_can_follow_the_original(pack, picture, one_face):
    faces = detect(pack, picture, detector=one_face)[0]
    tinted = faces.with_crops((faces.crops * torch.tensor([1.0, 0.5, 0.5]).reshape(3, 1, 1)).clamp(0, 1))
    off = {}
    for colour in ("as restored", "mean and spread", "coarse colours"):
        pasted, mask = pack.run("CodeFormerPasteBack", image=picture, faces=tinted, mask="square", colour=colour).result
        off[colour] = (pasted - picture)[mask > 0.9].mean(0).abs().max()
    assert off["as restored"] > 0.2 and off["mean and spread"] < 0.02 and off["coarse colours"] < 0.02


# --- images that nobody expects -----------------------------------------------------------------------------------------


def test_an_image_of_one_pixel_is_returned_unchanged(pack, detector, restorer):
    dot = torch.full((1, 1, 1, 3), 0.3)
    fixed = pack.run("CodeFormerFixFaces", image=dot, model=restorer, detector=detector, **FIXING).result
    assert torch.equal(fixed[0], dot) and fixed[3] == 0


def test_a_face_of_one_pixel_is_left_alone(pack, restorer, picture):
    tiny = pack.finds((50.0, 50.0, 51.0, 51.0))
    fixed = pack.run("CodeFormerFixFaces", image=picture, model=restorer, detector=tiny, **FIXING).result
    assert torch.equal(fixed[0], picture) and fixed[3] == 0


def test_nan_pixels_in_a_face_are_an_error_that_says_so(pack, restorer, picture, one_face):
    picture[0, 40, 50] = torch.nan
    with pytest.raises(RuntimeError, match=r"not finite \(NaN or infinity\) in face 1, so nothing was pasted"):
        pack.run("CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, **FIXING)


def test_nan_pixels_outside_the_faces_are_kept(pack, restorer, picture, one_face):
    picture[0, 85, 115] = torch.nan
    fixed, mask, _, _ = pack.run("CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, **FIXING).result
    assert fixed[0, 85, 115].isnan().all() and fixed[0, 30:50, 40:60].isfinite().all() and mask[0].isfinite().all()


def test_faces_of_more_images_than_given_are_an_error(pack, picture, one_face):
    faces = detect(pack, picture, detector=one_face)[0]
    with pytest.raises(ValueError, match="face of image 2 and a batch of 1"):
        pack.run("CodeFormerPasteBack", image=picture[:1], faces=faces, mask="square")


def test_an_image_of_other_proportions_is_an_error_with_both_sizes(pack, picture, one_face):
    faces = detect(pack, picture, detector=one_face)[0]
    with pytest.raises(ValueError, match="faces were found in 120 x 90"):
        pack.run("CodeFormerPasteBack", image=picture[:, :, :60], faces=faces, mask="square")


@pytest.mark.parametrize("ratio", [1.5, 2.0])
def test_enlarged_images_may_have_any_scale(pack, picture, one_face, ratio):
    faces = detect(pack, picture, detector=one_face)[0]
    larger = torch.rand(2, int(90 * ratio), int(120 * ratio), 3)
    pasted, mask = pack.run("CodeFormerPasteBack", image=larger, faces=faces, mask="square").result
    rows, columns = mask[0].nonzero().unbind(1)
    middle = (rows.float().mean() / ratio, columns.float().mean() / ratio)
    assert pasted.shape == larger.shape and middle == pytest.approx((44, 50), abs=6)


def test_one_mask_in_two_dimensions_is_a_mask(pack, restorer, picture, one_face):
    faces = detect(pack, picture, detector=one_face)[0]
    flat = SimpleNamespace(side=512, batch=8, restore=lambda crops, fidelity, match_style: crops * 0 + fidelity[:, :1])
    inputs = {"faces": faces, "model": flat, "fidelity": 0.0, "match_style": True, "grey": "off"}
    restored = pack.run("CodeFormerRestore", **inputs, painted=1.0, mask=torch.ones(90, 120)).result[0]
    assert restored.crops[:, :, 200:300, 200:300].mean() > 0.99
