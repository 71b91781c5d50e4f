"""The nodes in this process: what they offer, and what they do with images."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
IDS = [
    "CodeFormerModelLoader",
    "CodeFormerFaceDetectorLoader",
    "CodeFormerFaceParserLoader",
    "CodeFormerBackgroundLoader",
    "CodeFormerFixFaces",
    "CodeFormerFixFacesInVideo",
    "CodeFormerVideoFrames",
    "CodeFormerFaceDetect",
    "CodeFormerFaceSelect",
    "CodeFormerRestore",
    "CodeFormerColorize",
    "CodeFormerInpaint",
    "CodeFormerFidelitySweep",
    "CodeFormerCertainty",
    "CodeFormerFaceMask",
    "CodeFormerFacesToCrops",
    "CodeFormerFacesFromCrops",
    "CodeFormerPasteBack",
]
DETECTION = {"choice": "all", "side": 640, "confidence": 0.8, "overlap": 0.4, "eye_distance": 5.0}
FIXING = {**DETECTION, "fidelity": 0.5, "upscale": 1.0, "mask": "square", "match_style": True, "grey": "auto", "always": True}


def test_the_pack_has_these_nodes(pack):
    assert set(IDS) <= set(pack.nodes)
    assert all(name.startswith("CodeFormer") for name in pack.nodes)


def test_every_node_and_every_socket_explains_itself(pack):
    for name, node in pack.nodes.items():
        schema = node.GET_SCHEMA()
        schema.validate()
        assert schema.category == "image/face" and schema.display_name and schema.description and schema.search_aliases, name
        for socket in [*schema.inputs, *schema.outputs]:
            tooltip = socket.tooltip or ""
            assert tooltip.endswith(".") and (tooltip[0].isupper() or tooltip[0].isdigit()), f"{name}.{socket.id}: {tooltip!r}"


#: For one who has none of the pack's words yet: other methods and packs, and what is wrong with the photo.
TYPED = ["gfpgan", "reactor", "restoreformer", "gpen", "face restoration", "enhance", "deblur", "blurry", "old photo", "修脸"]


@pytest.mark.parametrize("typed", TYPED)
def test_the_words_that_people_type_find_fix_faces(pack, typed):
    assert any(typed in alias for alias in pack.nodes["CodeFormerFixFaces"].GET_SCHEMA().search_aliases)


def test_importing_the_pack_adds_little_to_the_host(pack):
    assert pack.seconds < 1.0


def test_importing_the_pack_without_the_host_does_nothing(tmp_path):
    code = (
        "import importlib.util as u, sys\n"
        f"spec = u.spec_from_file_location('pack', {str(ROOT / '__init__.py')!r}, submodule_search_locations=[{str(ROOT)!r}])\n"
        "module = u.module_from_spec(spec); sys.modules['pack'] = module; spec.loader.exec_module(module)\n"
        "loaded = [name for name in sys.modules if name.startswith('pack.') or name == 'torch']\n"
        "print(loaded, hasattr(module, 'comfy_entrypoint'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]


def test_without_a_face_the_image_is_returned_unchanged(pack, restorer, picture, caplog):
    picture = picture * 1.5 - 0.2  # values beyond white and black are the user's too
    with caplog.at_level("INFO"):
        fixed, mask, faces, count = pack.run(
            "CodeFormerFixFaces", image=picture, model=restorer, detector=pack.finds(), **FIXING
        ).result
    assert torch.equal(fixed, picture) and count == 0 and len(faces) == 0
    assert mask.shape == (2, 90, 120) and not mask.any()
    assert "No face found" in caplog.text


def test_step_by_step_without_a_face_the_image_is_unchanged(pack, restorer, picture):
    from comfy_execution.graph_utils import ExecutionBlocker

    faces, boxes, count, _, _ = pack.run("CodeFormerFaceDetect", image=picture, detector=pack.finds(), **DETECTION).result
    assert boxes == [[], []] and count == 0
    options = {"fidelity": 0.5, "match_style": True, "grey": "auto"}
    restored, crops = pack.run("CodeFormerRestore", faces=faces, model=restorer, **options).result
    assert isinstance(crops, ExecutionBlocker)
    pasted, _ = pack.run("CodeFormerPasteBack", image=picture, faces=restored, mask="square").result
    assert torch.equal(pasted, picture)


def test_only_the_face_changes_and_the_input_is_not_modified(pack, restorer, picture, one_face):
    before = picture.clone()
    fixed, mask, faces, count = pack.run(
        "CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, **FIXING
    ).result
    assert torch.equal(picture, before)
    assert count == len(faces) == 2 and fixed.shape == picture.shape
    assert torch.equal(fixed[mask == 0], before[mask == 0])
    assert (fixed - before)[mask > 0.9].abs().mean() > 0.01
    assert fixed.is_contiguous() and float(mask.min()) >= 0 and float(mask.max()) <= 1


def test_detected_faces_are_bounding_boxes_in_the_hosts_format(pack, picture, one_face):
    before = picture.clone()
    output = pack.run("CodeFormerFaceDetect", image=picture, detector=one_face, **DETECTION)
    faces, boxes, count, preview, _ = output.result
    expected = {"x": 30.0, "y": 20.0, "width": 40.0, "height": 40.0, "label": "face", "score": 0.9}
    assert boxes == [[expected], [expected]] and count == 2 and len(faces) == 2
    assert preview.shape == picture.shape and not torch.equal(preview, picture) and torch.equal(picture, before)
    assert len(output.ui.as_dict()["images"]) == 2


@pytest.mark.parametrize("upscale", [1.0, 2.0])
def test_transparency_is_kept(pack, restorer, picture, one_face, upscale):
    alpha = torch.linspace(0, 1, 120).expand(2, 90, 120)[..., None]
    options = {**FIXING, "upscale": upscale}
    rgba = torch.cat([picture, alpha], dim=-1)
    fixed = pack.run("CodeFormerFixFaces", image=rgba, model=restorer, detector=one_face, **options).result[0]
    assert fixed.shape == (2, 90 * upscale, 120 * upscale, 4)
    if upscale == 1.0:
        assert torch.equal(fixed[..., 3:], alpha)
    else:
        assert (fixed[:, ::2, ::2, 3] - alpha[..., 0]).abs().max() < 0.01


def test_half_precision_in_and_out(pack, restorer, picture, one_face, monkeypatch):
    from comfy.cli_args import args

    monkeypatch.setattr(args, "fp16_intermediates", True)
    half = picture.half()
    fixed, mask, _, _ = pack.run("CodeFormerFixFaces", image=half, model=restorer, detector=one_face, **FIXING).result
    assert fixed.dtype == mask.dtype == torch.float16
    assert torch.equal(fixed[mask == 0], half[mask == 0])


def test_faces_can_be_pasted_into_the_upscaled_image(pack, restorer, picture, one_face):
    faces = pack.run("CodeFormerFaceDetect", image=picture, detector=one_face, **DETECTION).result[0]
    larger = torch.rand(2, 180, 240, 3)
    pasted, mask = pack.run("CodeFormerPasteBack", image=larger, faces=faces, mask="box").result
    assert pasted.shape == larger.shape and mask.shape == (2, 180, 240)
    assert torch.equal(pasted[mask == 0], larger[mask == 0]) and not torch.equal(pasted, larger)


def test_the_blend_that_needs_a_parser_says_so(pack, restorer, picture, one_face):
    with pytest.raises(ValueError, match="parser"):
        pack.run("CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, **{**FIXING, "mask": "face"})


def test_the_real_detector_finds_the_astronaut(pack, mobilenet, shared, photo):
    network = pack.network(shared / "data/detectors/detection_mobilenet0.25_Final.pth")
    detector = pack.hosted.HostedDetector(network)
    image = photo("photos/astronaut_1face.png").movedim(1, -1).repeat(3, 1, 1, 1)
    faces, boxes, count, _, _ = pack.run("CodeFormerFaceDetect", image=image, detector=detector, **DETECTION).result
    assert count == 3 and [len(frame) for frame in boxes] == [1, 1, 1]
    (expected,) = mobilenet.detect(photo("photos/astronaut_1face.png"))
    assert [face.image_index for face in faces.faces] == [0, 1, 2]
    for face in faces.faces:
        assert face.box == pytest.approx(expected.box, abs=0.01)


def test_a_colorization_checkpoint_is_an_error_that_names_the_right_file(pack, tmp_path, picture, one_face):
    from codeformer_core.networks.codeformer import CodeFormer
    from codeformer_core.networks.transformer import join_attention
    from codeformer_core.networks.vqgan import Architecture

    layout = Architecture((32, 32, 32, 32), 1, (3,), 64, 32, 16, 64, 1, fuse_sides=(32,))
    torch.save(join_attention(CodeFormer(layout).state_dict()), tmp_path / "other.pth")
    other = pack.hosted.HostedRestorer(pack.network(tmp_path / "other.pth"))
    with pytest.raises(ValueError, match=r"colorization checkpoint .* choose codeformer\.pth"):
        pack.run("CodeFormerFixFaces", image=picture, model=other, detector=one_face, **FIXING)
