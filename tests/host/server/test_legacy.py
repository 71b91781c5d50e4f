"""Old workflows of other packs, in the real host without those packs."""

import shutil

import numpy as np
import pytest
from PIL import Image

from .test_server import pixels

OLD = {
    "FaceRestoreModelLoader": ["model_name"],
    "FaceRestoreCFWithModel": ["facerestore_model", "image", "facedetection", "codeformer_fidelity"],
    "CropFace": ["image", "facedetection"],
    "ReActorRestoreFace": ["image", "facedetection", "model", "visibility", "codeformer_weight"],
    "ReActorRestoreFaceAdvanced": [
        *("image", "facedetection", "model", "visibility", "codeformer_weight"),
        *("face_selection", "sort_by", "reverse_order", "take_start", "take_count"),
    ],
}
REACTOR = {
    "image": ["picture", 0],
    "facedetection": "retinaface_mobile0.25",
    "model": "codeformer-v0.1.0.pth",
    "visibility": 1.0,
    "codeformer_weight": 0.5,
}


@pytest.fixture(scope="module")
def crew(server, shared):
    """Seven people in a picture of the host's: (H, W, 3) uint8."""
    picture = Image.open(shared / "data/photos/nasa_sts114_crew_7faces.jpg").convert("RGB")
    picture = picture.resize((640, round(640 * picture.height / picture.width)))
    picture.save(server.base / "input" / "crew.png")
    return np.array(picture)


def old(**nodes):
    """An old prompt as the browser sends it, with the picture and a preview of the last node."""
    last = list(nodes)[-1]
    prompt = {
        "picture": ("LoadImage", {"image": "crew.png"}),
        **nodes,
        "show": ("PreviewImage", {"images": [last, 0]}),
    }
    return {name: {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}} for name, (kind, inputs) in prompt.items()}


def shown(server, prompt):
    entry = server.wait(server.queue(prompt))
    assert entry["status"]["status_str"] == "success", entry["status"]
    return [pixels(server, image) for image in entry["outputs"]["show"]["images"]]


def test_every_old_node_has_a_stand_in_with_its_sockets(server):
    offered, info = server.json("/node_replacements"), server.json("/object_info")
    assert set(OLD) <= set(offered) and not set(OLD) & set(info)
    for name, inputs in OLD.items():
        (replacement,) = offered[name]
        new = info[replacement["new_node_id"]]
        taken = {entry["new_id"] for entry in replacement["input_mapping"]}
        assert taken == {*new["input"]["required"], *new["input"].get("optional", {})} - {"precision"}, name
        mapped = {entry["old_id"]: entry["new_id"] for entry in replacement["input_mapping"] if "old_id" in entry}
        assert mapped == {entry: entry for entry in inputs}, name
        assert [entry for entry in inputs if entry not in ("image", "facerestore_model")] == replacement["old_widget_ids"]
        assert name == "FaceRestoreModelLoader" or (new["deprecated"] and not new.get("dev_only"))


def test_a_workflow_of_facerestore_cf_runs(server, crew):
    prompt = old(
        load=("FaceRestoreModelLoader", {"model_name": "codeformer-v0.1.0.pth"}),  # the name that ReActor gives the file
        fix=(
            "FaceRestoreCFWithModel",
            {
                "facerestore_model": ["load", 0],
                "image": ["picture", 0],
                "facedetection": "retinaface_mobile0.25",
                "codeformer_fidelity": 0.5,
            },
        ),
    )
    (result,) = shown(server, prompt)
    assert result.shape == crew.shape and 0.02 < (result != crew).any(-1).mean() < 0.6


def test_the_old_crop_node_outputs_crops(server, crew):
    crops = shown(server, old(crop=("CropFace", {"image": ["picture", 0], "facedetection": "YOLOv5n"})))
    assert len(crops) == 7 and {crop.shape for crop in crops} == {(512, 512, 3)}
    assert "YOLOv5n is not run by this pack" in server.log


def test_a_workflow_of_reactor_runs(server, crew):
    (full,) = shown(server, old(fix=("ReActorRestoreFace", REACTOR)))
    (half,) = shown(server, old(fix=("ReActorRestoreFace", {**REACTOR, "visibility": 0.5})))
    change, less = (np.abs(result.astype(int) - crew).sum() for result in (full, half))
    assert 0.45 < less / change < 0.55


def test_reactors_choice_of_faces_is_kept(server, crew):
    choice = {"face_selection": "filter", "sort_by": "x_position", "reverse_order": True, "take_start": 1, "take_count": 1}
    (result,) = shown(server, old(fix=("ReActorRestoreFaceAdvanced", {**REACTOR, **choice})))
    (every,) = shown(server, old(fix=("ReActorRestoreFaceAdvanced", {**REACTOR, **choice, "face_selection": "all"})))
    rows, columns = np.nonzero((result != crew).any(-1))
    right = np.nonzero((every != crew).any(-1))[1].max()
    assert columns.max() < right and columns.min() > crew.shape[1] / 2


def test_reactors_none_changes_nothing(server, crew):
    (result,) = shown(server, old(fix=("ReActorRestoreFace", {**REACTOR, "model": "none"})))
    assert np.array_equal(result, crew)


@pytest.fixture(scope="module")
def others(server, gfpgan_checkpoint, restoreformer_checkpoint):
    """Small files under the names that the packs' workflows give to GFPGAN, RestoreFormer and GPEN; gone after the tests."""
    pytest.importorskip("onnxruntime", reason="ONNX files need the package onnxruntime")
    onnx_files = pytest.importorskip("onnx_files", reason="the tests build networks with the package onnx")
    folder = server.base / "models" / "facerestore_models"
    laid = [
        shutil.copy(gfpgan_checkpoint, folder / "GFPGANv1.4.pth"),
        shutil.copy(restoreformer_checkpoint, folder / "RestoreFormer.pth"),
        *(onnx_files.restorer(folder / f"GPEN-BFR-{side}.onnx", side) for side in (512, 1024, 2048)),
        *(onnx_files.restorer(folder / f"{name}.onnx", 512) for name in ("RestoreFormer_PP", "GFPGANv1.3")),
    ]
    yield
    for path in laid:
        path.unlink()


@pytest.fixture(scope="module")
def one_person(server, portrait):
    """A small picture of one person: (H, W, 3) uint8."""
    picture = Image.fromarray(portrait).crop((100, 0, 356, 256))
    picture.save(server.base / "input" / "one.png")
    return np.array(picture)


def changed_in_the_face_alone(result, before):
    changed = (result != before).any(-1)
    rows, columns = np.nonzero(changed)
    inside = changed[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return 0.1 < changed.mean() < 0.9 and inside.mean() > 0.9 and result.shape == before.shape


@pytest.mark.parametrize("name", ["GFPGANv1.4.pth", "RestoreFormer.pth"])
def test_a_workflow_of_facerestore_cf_that_names_another_network_runs(server, others, one_person, name):
    fix = {"facerestore_model": ["load", 0], "image": ["picture", 0], "facedetection": "retinaface_mobile0.25"}
    prompt = old(
        load=("FaceRestoreModelLoader", {"model_name": name}),
        fix=("FaceRestoreCFWithModel", {**fix, "codeformer_fidelity": 0.5}),
    )
    prompt["picture"]["inputs"]["image"] = "one.png"
    (result,) = shown(server, prompt)
    assert changed_in_the_face_alone(result, one_person)


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("ReActorRestoreFace", "GFPGANv1.3.onnx"),
        ("ReActorRestoreFace", "RestoreFormer.pth"),
        ("ReActorRestoreFace", "RestoreFormer_PP.onnx"),
        ("ReActorRestoreFace", "GPEN-BFR-512.onnx"),
        ("ReActorRestoreFace", "GPEN-BFR-2048.onnx"),
        ("ReActorRestoreFaceAdvanced", "GPEN-BFR-1024.onnx"),
    ],
)
def test_a_workflow_of_reactor_that_names_another_network_runs(server, others, one_person, node, name):
    choice = {"face_selection": "largest", "sort_by": "area", "reverse_order": False, "take_start": 0, "take_count": 1}
    prompt = old(fix=(node, {**REACTOR, "model": name, **(choice if node.endswith("Advanced") else {})}))
    prompt["picture"]["inputs"]["image"] = "one.png"
    (result,) = shown(server, prompt)
    assert changed_in_the_face_alone(result, one_person)
