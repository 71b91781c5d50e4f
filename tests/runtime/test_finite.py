"""Values that are not finite: no network hides them, and the sentence names the file, the image or the calculation."""

import pytest
import torch
from known_faces import KnownFaces

from codeformer_core import checkpoints, load
from codeformer_core.networks.parsers import FaceParser
from codeformer_core.options import FixOptions
from codeformer_core.pipeline import fix_faces
from codeformer_core.runtime.finite import all_finite, check_finite, check_pixels


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.half, torch.bfloat16])
def test_a_single_value_is_seen(value, dtype):
    tensor = torch.full((3, 50, 50), 60000.0).to(dtype)  # whose sum is beyond half
    assert all_finite(tensor, torch.zeros(0))
    tensor[1, 7, 3] = value
    assert not all_finite(torch.zeros(2), tensor)


def test_the_image_is_named_before_the_network():
    images = torch.zeros(3, 3, 8, 8)
    images[1, 0, 2, 2] = torch.nan
    broken = torch.nn.Linear(2, 2)
    broken.file = "mine.pth"
    with torch.no_grad():
        broken.weight[0, 0] = torch.nan
    for network in (broken, None):
        with pytest.raises(RuntimeError, match=r"^Found pixels that are not finite \(NaN or infinity\) in image 2, so"):
            check_finite(images, network, images)
    with pytest.raises(RuntimeError, match=r"^mine.pth has weights that are not finite \(weight\), so"):
        check_finite(images, broken, torch.zeros(1, 3, 8, 8))
    with pytest.raises(RuntimeError, match=r"^The network gave values that are not finite, and not because of the image"):
        check_finite(images, None, torch.zeros(1, 3, 8, 8))
    with pytest.raises(RuntimeError, match="in the image, so nothing"):
        check_pixels(images[1:2])


@pytest.mark.parametrize("name", ["mtcnn", "mobilenet", "yunet"])
def test_one_nan_pixel_hides_no_face_from_any_detector(request, shared, photo, name):
    files = {"yunet": "face_detection_yunet_2026may.onnx", "mobilenet": "detection_mobilenet0.25_Final.pth"}
    detector = load("mtcnn") if name == "mtcnn" else checkpoints.load(shared / "data" / "detectors" / files[name])
    image = photo("photos/astronaut_1face.png")
    broken = image.clone()
    broken[:, :, 250, 5] = torch.nan
    broken[:, 1, 9, 400] = torch.inf
    (face,), (expected,) = detector.detect(broken), detector.detect(image)
    assert face.box == pytest.approx(expected.box, abs=1)
    assert broken.isnan().sum() == 3  # the image itself is left as it was


@pytest.mark.parametrize("name", ["mtcnn", "mobilenet"])
def test_a_detector_that_computes_nothing_finite_finds_not_nothing_but_says_so(shared, photo, name):
    path = shared / "data" / "detectors" / "detection_mobilenet0.25_Final.pth"
    detector = load("mtcnn") if name == "mtcnn" else checkpoints.load(path)
    with torch.no_grad():
        list(detector.parameters())[-1].fill_(torch.nan)
    with pytest.raises(RuntimeError, match=r"has weights that are not finite|gave values that are not finite"):
        detector.detect(photo("photos/astronaut_1face.png"))


def test_a_parser_does_not_take_nan_for_background():
    class Brightness(FaceParser):
        """Takes bright pixels for skin."""

        def scores(self, crops):
            return torch.nn.functional.pad(crops[:, :1], (0, 0, 0, 0, 1, 17), value=0.5)

    parser = Brightness(torch.nn.Identity())
    crops = torch.zeros(2, 3, 64, 64)
    assert parser.parse(crops).shape == (2, 512, 512)
    crops[1, 0, 0, 0] = torch.nan
    with pytest.raises(RuntimeError, match="in face 2, so nothing was pasted"):
        parser.parse(crops)


@pytest.mark.parametrize("part", ["encoder.blocks.0.bias", "idx_pred_layer.1.weight", "generator.blocks.0.bias"])
@pytest.mark.parametrize("fidelity", [0.0, 0.5])
def test_a_restorer_with_broken_weights_is_named_whichever_part_they_are_of(tiny_checkpoint, photo, part, fidelity):
    restorer = checkpoints.load(tiny_checkpoint)
    with torch.no_grad():
        restorer.state_dict()[part].fill_(torch.nan)
    options = FixOptions(fidelity=fidelity, match_style=False)
    with pytest.raises(RuntimeError, match=rf"codeformer.pth has weights that are not finite \({part}\), so nothing"):
        fix_faces(photo("photos/astronaut_1face.png"), KnownFaces(), restorer, options)


def test_a_restorer_of_finite_weights_restores_as_before(tiny_checkpoint):
    """What makes values that are not finite visible changes no bit of those that are."""
    network, crops = checkpoints.load(tiny_checkpoint), torch.rand(2, 3, 64, 64)
    encoded = network.encode_faces(crops, 0.5)
    with torch.no_grad():  # with gradients other kernels are used
        plain = network.decode(encoded.logits.argmax(2), encoded.features, encoded.kept, 0.5)
    assert torch.equal(network.restore(crops, 0.5), ((plain + 1) / 2).clamp(0, 1))


def test_a_nan_pixel_outside_the_faces_leaves_them_restored(tiny_checkpoint, photo):
    image = photo("photos/astronaut_1face.png")
    restorer, detector = checkpoints.load(tiny_checkpoint), load("mtcnn")
    options = FixOptions(always=True)
    expected = fix_faces(image, detector, restorer, options)
    broken = image.clone()
    broken[:, :, 500, 5] = torch.nan
    fixed = fix_faces(broken, detector, restorer, options)
    assert len(fixed.aligned) == len(expected.aligned) == 1
    assert fixed.images[0, :, 500, 5].isnan().all() and fixed.images.isnan().sum() == 3
    assert torch.equal(fixed.mask, expected.mask)


def test_a_nan_pixel_in_a_face_is_said(tiny_checkpoint, photo):
    image = photo("photos/astronaut_1face.png").clone()
    image[:, :, 110, 220] = torch.nan
    with pytest.raises(RuntimeError, match=r"not finite \(NaN or infinity\) in face 1, so nothing was pasted"):
        fix_faces(image, load("mtcnn"), checkpoints.load(tiny_checkpoint))
