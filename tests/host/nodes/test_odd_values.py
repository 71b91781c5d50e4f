"""IMAGE and MASK values that other nodes made wrong: each is refused with a sentence that names the input, or worked on."""

import pytest
import torch

from .test_nodes import DETECTION, FIXING

IMAGE_INPUTS = {
    "CodeFormerFixFaces": "image",
    "CodeFormerFaceDetect": "image",
    "CodeFormerPasteBack": "image",
    "CodeFormerCertainty": "image",
    "CodeFormerFaceSelect": "image",
    "CodeFormerFaceMask": "image",
    "CodeFormerInpaint": "image",
    "CodeFormerFacesFromCrops": "crops",
    "CodeFormerCompare": "after",
    "CodeFormerOldRestore": "image",
    "CodeFormerOldCrop": "image",
    "CodeFormerOldReActor": "image",
}
MASK_INPUTS = {
    "CodeFormerRestore": "mask",
    "CodeFormerFaceSelect": "mask",
    "CodeFormerFaceMask": "occlusion",
    "CodeFormerInpaint": "mask",
    "CodeFormerFacesFromCrops": "masks",
}
ODD_IMAGES = {
    "grey": (torch.rand(2, 90, 120, 1), "1 colour channels"),
    "grey with alpha": (torch.rand(2, 90, 120, 2), "2 colour channels"),
    "five channels": (torch.rand(2, 90, 120, 5), r"shape \(2, 90, 120, 5\)"),
    "no image": (torch.rand(0, 90, 120, 3), r"shape \(0, 90, 120, 3\)"),
    "no pixel": (torch.rand(1, 0, 0, 3), r"shape \(1, 0, 0, 3\)"),
    "no channel": (torch.rand(1, 9, 9, 0), r"shape \(1, 9, 9, 0\)"),
    "three axes": (torch.rand(90, 120, 3), r"shape \(90, 120, 3\)"),
    "five axes": (torch.rand(1, 2, 90, 120, 3), r"shape \(1, 2, 90, 120, 3\)"),
    "a number": (torch.tensor(0.5), r"shape \(\)"),
    "8 bits": (torch.randint(0, 255, (1, 90, 120, 3), dtype=torch.uint8), "torch.uint8"),
    "complex": (torch.rand(1, 90, 120, 3, dtype=torch.complex64), "torch.complex64"),
    "0 to 255": (torch.rand(2, 90, 120, 3) * 255, "values up to 25"),
    "without values": (torch.rand(1, 90, 120, 3, device="meta"), "without plain values"),
    "sparse": (torch.rand(1, 90, 120, 3).to_sparse(), "without plain values"),
    "a list": ([torch.rand(90, 120, 3)], "Found list"),
    "nothing": (None, "Found NoneType"),
}
ODD_MASKS = {
    "NaN": (torch.full((1, 90, 120), torch.nan), "not finite"),
    "infinite": (torch.full((1, 90, 120), torch.inf), "not finite"),
    "an image": (torch.rand(1, 90, 120, 3), r"shape \(1, 90, 120, 3\)"),
    "one axis": (torch.rand(90), r"shape \(90,\)"),
    "no mask": (torch.rand(0, 90, 120), r"shape \(0, 90, 120\)"),
    "no pixel": (torch.rand(1, 0, 120), r"shape \(1, 0, 120\)"),
    "5 axes": (torch.rand(1, 1, 1, 9, 9), r"shape \(1, 1, 1, 9, 9\)"),
    "whole numbers": (torch.ones(1, 90, 120, dtype=torch.int64), "torch.int64"),
    "a list": ([1.0], "Found list"),
}


@pytest.fixture
def faces(pack, picture, one_face):
    """The faces of two images, in crops of 64 pixels."""
    return pack.core("align").align(picture.movedim(-1, 1), one_face.detect(picture, None), 64)


@pytest.fixture
def sockets(restorer, inpainter, one_face, faces):
    """What else each node is given."""
    return {
        "CodeFormerFixFaces": {"model": restorer, "detector": one_face},
        "CodeFormerFaceDetect": {"detector": one_face},
        "CodeFormerCertainty": {"faces": faces, "model": restorer},
        "CodeFormerInpaint": {"faces": faces, "model": inpainter},
        "CodeFormerRestore": {"faces": faces, "model": restorer},
        "CodeFormerPasteBack": {"faces": faces},
        "CodeFormerFaceSelect": {"faces": faces},
        "CodeFormerFaceMask": {"faces": faces},
        "CodeFormerFacesFromCrops": {"faces": faces, "crops": torch.rand(2, 64, 64, 3)},
        "CodeFormerOldRestore": {"facerestore_model": restorer},
        "CodeFormerOldReActor": {"model": "codeformer_starter.safetensors"},
        "CodeFormerOldCrop": {},
        "CodeFormerCompare": {"before": torch.rand(1, 9, 9, 3)},
    }


#: A socket that may be left empty: nothing is no odd value there.
OPTIONAL = {"CodeFormerFaceSelect", "CodeFormerFaceMask", "CodeFormerInpaint"}


@pytest.mark.parametrize("kind", ODD_IMAGES)
@pytest.mark.parametrize("node", IMAGE_INPUTS)
def test_an_odd_image_is_refused_with_its_input(pack, sockets, node, kind):
    image, found = ODD_IMAGES[kind]
    if image is None and node in OPTIONAL:
        pytest.skip("an image is optional here")
    with pytest.raises(ValueError, match=f"{found}.* at {IMAGE_INPUTS[node]}.* Expected .*: "):
        pack.run(node, **{**sockets[node], IMAGE_INPUTS[node]: image})


@pytest.mark.parametrize("kind", ODD_MASKS)
@pytest.mark.parametrize("node", MASK_INPUTS)
def test_an_odd_mask_is_refused_with_its_input(pack, sockets, node, kind):
    mask, found = ODD_MASKS[kind]
    with pytest.raises(ValueError, match=f"{found}|at {MASK_INPUTS[node]}") as error:
        pack.run(node, **{**sockets[node], MASK_INPUTS[node]: mask})
    assert f" at {MASK_INPUTS[node]}" in str(error.value) and "Expected" in str(error.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_crops_that_are_not_finite_are_never_pasted(pack, picture, faces, value):
    crops = faces.crops.clone()
    crops[1, 0, 5, 5] = value
    with pytest.raises(ValueError, match="not finite at crops, number 2"):
        pack.run("CodeFormerFacesFromCrops", faces=faces, crops=crops.movedim(1, -1))
    with pytest.raises(ValueError, match="not finite at faces, number 2.*nothing was changed"):
        pack.run("CodeFormerPasteBack", image=picture, faces=faces.with_crops(crops))


@pytest.mark.parametrize("name", ["mtcnn", "retinaface"])
def test_one_pixel_that_is_not_finite_hides_no_face(pack, shared, photo, name):
    file = {"mtcnn": "mtcnn", "retinaface": shared / "data/detectors/detection_mobilenet0.25_Final.pth"}[name]
    detector = pack.hosted.HostedDetector(pack.network(file)) if name != "mtcnn" else pack.hosted.load("detector", "mtcnn")
    crew = photo("photos/nasa_sts114_crew_7faces.jpg").movedim(1, -1).clone()
    crew[0, 2, 2] = torch.nan
    assert pack.run("CodeFormerFaceDetect", image=crew, detector=detector, **DETECTION).result[2] == 7


def test_values_brighter_than_white_are_kept_outside_the_faces_and_hide_none(pack, shared, restorer, photo):
    detector = pack.hosted.HostedDetector(pack.network(shared / "data/detectors/detection_mobilenet0.25_Final.pth"))
    image = photo("photos/astronaut_1face.png").movedim(1, -1).clone()
    image[:, :40, :40] = 9.0
    fixed, mask, _, count = pack.run("CodeFormerFixFaces", image=image, model=restorer, detector=detector, **FIXING).result
    assert count == 1 and torch.equal(fixed[mask == 0], image[mask == 0]) and fixed[:, :40, :40].min() == 9


@pytest.mark.parametrize("made", [lambda image: image.clone().requires_grad_(), lambda image: image.double()])
def test_gradients_and_other_precisions_do_not_matter(pack, restorer, picture, one_face, made):
    inputs = {"model": restorer, "detector": one_face, **FIXING}
    fixed = pack.run("CodeFormerFixFaces", image=made(picture), **inputs).result[0]
    plain = pack.run("CodeFormerFixFaces", image=picture, **inputs).result[0]
    assert torch.equal(fixed, plain) and fixed.dtype == torch.float32 and not fixed.requires_grad


def test_masks_beyond_one_count_as_white(pack, picture, faces):
    ones = pack.run("CodeFormerFaceMask", faces=faces, occlusion=torch.ones(90, 120)).result[0]
    more = pack.run("CodeFormerFaceMask", faces=faces, occlusion=torch.full((1, 1, 90, 120), 255.0)).result[0]
    assert torch.equal(more.within, ones.within)
