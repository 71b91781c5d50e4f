"""How much memory FACES keep in the host's cache, and that faces which were not kept are there when a node asks for them."""

import pytest
import torch

from .test_nodes import FIXING


def kept(faces):
    """Bytes that the tensors of faces keep alive, shared ones counted once."""
    tensors = [faces.originals, faces.crops, faces.affines, faces.masks]
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


@pytest.fixture
def aligned(pack, picture, one_face):
    """The faces of two images, in crops of 64 pixels."""
    return pack.core("align").align(picture.movedim(-1, 1), one_face.detect(picture, None), 64)


CROPS = 2 * 3 * 64 * 64  # values


def test_detected_faces_keep_one_crop_each(pack, aligned):
    assert kept(aligned) < 4 * CROPS + 200
    assert kept(aligned.subset([0])) < 2 * CROPS + 200
    joined = type(aligned).joined([aligned.of_image(0), aligned.of_image(1)])
    assert kept(joined) < 4 * CROPS + 200 and torch.equal(joined.masks, aligned.masks)


def test_restored_faces_keep_two_crops_each(pack, restorer, aligned):
    restored = pack.run("CodeFormerRestore", faces=aligned, model=restorer).result[0]
    assert kept(restored) < 2 * 4 * CROPS + 200


@pytest.mark.parametrize("consecutive", [False, True])
def test_fix_faces_keeps_two_crops_in_half_precision(pack, restorer, picture, one_face, consecutive):
    inputs = {
        "image": picture,
        "model": restorer,
        "detector": one_face,
        **FIXING,
        "consecutive": consecutive,
        "keep_detail": "off",
    }
    image, _, faces, count = pack.run("CodeFormerFixFaces", **inputs).result
    assert kept(faces) < 2 * 2 * CROPS + 200 + consecutive * 4 * CROPS / 3  # masks that fade in and out
    pasting = {"keep_detail": "off", "always": True, "mask": "square"}
    again, _ = pack.run("CodeFormerPasteBack", image=picture, faces=faces, **pasting).result
    assert count == 2 and (again - image).abs().max() < 0.1 / 255


@pytest.mark.parametrize("consecutive", [False, True])
def test_faces_that_nothing_is_connected_to_are_made_when_a_node_asks(pack, restorer, picture, one_face, consecutive):
    from comfy_api.latest import io

    node = pack.nodes["CodeFormerFixFaces"].PREPARE_CLASS_CLONE(None)
    inputs = {"image": picture, "model": restorer, "detector": one_face, **FIXING, "consecutive": consecutive}
    results = {}
    for links in ([], [["fix", 2]]):
        prompt = {"fix": {"inputs": {}}, "other": {"inputs": dict(enumerate(links))}}
        node.hidden = io.HiddenHolder.from_dict({io.Hidden.prompt: prompt, io.Hidden.unique_id: "fix"})
        with torch.inference_mode():
            results[len(links)] = node.execute(**inputs).result
    later, now = results[0], results[1]
    assert not hasattr(later[2], "crops") and later[3] == now[3] == 2 and torch.equal(later[0], now[0])
    crops, wanted = (pack.run("CodeFormerFacesToCrops", faces=result[2]).result[0] for result in (later, now))
    assert torch.equal(crops, wanted) and crops.dtype == torch.float32
