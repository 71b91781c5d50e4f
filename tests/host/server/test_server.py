"""The pack in the real host: a server, the shipped workflows, a fetched file, errors, Cancel."""

import io
import json
import shutil
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
PICTURES = [path for path in WORKFLOWS if path.stem != "Fix faces in a video"]  # that one is in test_video.py
MOBILENET = "detection_mobilenet0.25_Final.pth"
YUNET = "face_detection_yunet_2026may.onnx"


def pixels(server, image):
    """An entry of a node's `images` as the array that it is."""
    query = "&".join(f"{key}={value}" for key, value in image.items())
    return np.array(Image.open(io.BytesIO(server.get(f"/view?{query}"))))


def detection(detector=MOBILENET, picture="example.png", **options):
    """An API prompt that detects faces; its parts can be told apart by their names."""
    settings = {"choice": "all", "side": 640, "confidence": 0.8, "overlap": 0.4, "eye_distance": 5.0}
    return {
        "picture": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "detector": {"class_type": "CodeFormerFaceDetectorLoader", "inputs": {"model_name": detector}},
        "detect": {
            "class_type": "CodeFormerFaceDetect",
            "inputs": {"image": ["picture", 0], "detector": ["detector", 0], **settings, **options},
        },
        "show": {"class_type": "PreviewAny", "inputs": {"source": ["detect", 2]}},
    }


def fixing(**options):
    """An API prompt that fixes faces."""
    parts = detection()
    settings = parts.pop("detect")["inputs"]
    inputs = {**settings, "model": ["model", 0], "fidelity": 0.5, "upscale": 1.0, "mask": "square", "match_style": True}
    return {
        **parts,
        "model": {"class_type": "CodeFormerModelLoader", "inputs": {"model_name": "codeformer.pth"}},
        "fix": {"class_type": "CodeFormerFixFaces", "inputs": {**inputs, "grey": "auto", "always": True, **options}},
        "show": {"class_type": "PreviewImage", "inputs": {"images": ["fix", 0]}},
    }


def test_the_pack_loads_without_warnings(server):
    ours = [name for name, node in server.json("/object_info").items() if "codeformer-suite" in node["python_module"]]
    assert len(ours) >= 7 and all(name.startswith("CodeFormer") for name in ours)
    started = server.log.partition("To see the GUI")[0]  # what comes later is about prompts
    complaints = [line for line in started.splitlines() if "codeformer" in line.lower() and "WARN" in line]
    assert started != server.log and not complaints
    assert "IMPORT FAILED" not in server.log and "comfy_entrypoint" not in server.log


def test_the_templates_are_offered_with_a_thumbnail(server):
    offered = server.json("/workflow_templates")["codeformer-suite"]
    assert sorted(offered) == sorted(path.stem for path in WORKFLOWS) and len(offered) >= 10
    for path in WORKFLOWS:
        assert server.json(f"/api/workflow_templates/codeformer-suite/{path.name}") == json.loads(path.read_text())
        thumbnail = server.get(f"/api/workflow_templates/codeformer-suite/{path.stem}.jpg")
        assert Image.open(io.BytesIO(thumbnail)).format == "JPEG" and len(thumbnail) < 40_000


def run_as_shipped(server, path):
    """The prompt of a shipped workflow. The tests' network draws 64 pixels: it is told to draw all the same."""
    prompt = server.prompt(json.loads(path.read_text()))
    for node in prompt.values():
        if node["class_type"] == "CodeFormerFixFaces":
            node["inputs"]["always"] = True
        if node["class_type"] == "SAM3_Detect":  # its model is not here: the painted mask stands for what it finds
            node |= {"class_type": "LoadImageMask", "inputs": {"image": "example.png", "channel": "alpha"}}
    return {key: node for key, node in prompt.items() if node["class_type"] not in ("CheckpointLoaderSimple", "CLIPTextEncode")}


#: Shipped workflows that give something else than the picture with other faces: how many pictures, and of which size.
OTHERS = {
    "Restore aligned faces": (1, 512),
    "Restore and upscale a photo": (1, 1024),
    "Restore then upscale": (1, 1024),
    "Old photo, everything": (1, 1024),
}


@pytest.fixture(scope="module")
def ran(server, portrait):
    """Runs a shipped workflow, once: the pictures that it ends with, and the mask of one that changes a face alone."""

    @cache
    def run(path):
        prompt = run_as_shipped(server, path)
        ends = [key for key, node in prompt.items() if node["class_type"] in ("SaveImage", "PreviewImage")]
        if path.stem not in OTHERS:
            pasting = ("CodeFormerFixFaces", "CodeFormerPasteBack")
            changed = next(key for key, node in prompt.items() if node["class_type"] in pasting)
            prompt["mask"] = {"class_type": "MaskToImage", "inputs": {"mask": [changed, 1]}}
            prompt["see"] = {"class_type": "PreviewImage", "inputs": {"images": ["mask", 0]}}
        entry = server.wait(server.queue(prompt))
        assert entry["status"]["status_str"] == "success", entry["status"]
        results = [pixels(server, image) for image in entry["outputs"][ends[-1]]["images"]]
        return results, pixels(server, entry["outputs"]["see"]["images"][0])[..., 0] if "see" in prompt else None

    return run


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_shipped_workflow_runs_as_it_is(ran, portrait, path):
    results, _ = ran(path)
    count, side = OTHERS.get(path.stem, (1, 512))
    assert [result.shape for result in results] == [(side, side, 3)] * count
    for result in results:  # the seen end is a picture, and not the one that came in
        assert result.std() > 10 and (side != 512 or not np.array_equal(result, portrait))
    assert all(not np.array_equal(one, other) for one, other in zip(results, results[1:], strict=False))


@pytest.mark.parametrize("path", [path for path in PICTURES if path.stem not in OTHERS], ids=lambda path: path.stem)
def test_a_shipped_workflow_changes_the_face_and_nothing_else(ran, portrait, path):
    (result,), mask = ran(path)
    assert result.shape == portrait.shape
    # The mask fades to less than one level of 255, which a picture of 8 bits cannot show.
    rows, columns = np.nonzero(mask)
    outside = np.ones(mask.shape, bool)
    outside[rows.min() - 4 : rows.max() + 5, columns.min() - 4 : columns.max() + 5] = False
    assert 0.5 < outside.mean() < 1
    assert np.array_equal(result[outside], portrait[outside])
    assert np.abs(result[mask > 250].astype(int) - portrait[mask > 250]).mean() > 0.5


def test_what_covers_a_face_keeps_its_bits(server, portrait):
    """The mask that stands for SAM3's covers a part of the face; next to it the face is another one."""
    prompt = run_as_shipped(server, ROOT / "workflows" / "Keep what covers a face.json")
    saved = next(key for key, node in prompt.items() if node["class_type"] == "SaveImage")
    result = pixels(server, server.wait(server.queue(prompt))["outputs"][saved]["images"][0])
    changed = (result != portrait).any(-1)
    assert not changed[90:120, 205:235].any() and changed[90:120, 180:203].mean() > 0.8


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_shipped_workflow_names_its_models_as_the_catalogue_does(path):
    published = {entry["file"]: entry for entry in json.loads((ROOT / "weights/manifest.json").read_text())["models"]}
    version = next(
        line.split('"')[1] for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version")
    )
    nodes = [node for node in json.loads(path.read_text())["nodes"] if node["type"].startswith("CodeFormer")]
    assert {(node["properties"]["cnr_id"], node["properties"]["ver"]) for node in nodes} == {("codeformer-suite", version)}
    loaders = [node for node in json.loads(path.read_text())["nodes"] if node["type"].endswith("Loader")]
    assert loaders
    for node in loaders:
        (model,) = node["properties"]["models"]
        entry = published[node["widgets_values"][0]]
        assert model["name"] == entry["file"] and model["directory"] == entry["folder"]
        assert model["url"] in entry["urls"] and model.get("hash") == entry["sha256"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_shipped_workflow_has_the_sockets_of_its_nodes(server, path):
    info, graph = server.json("/object_info"), json.loads(path.read_text())
    by_id = {node["id"]: node for node in graph["nodes"]}
    for node in graph["nodes"]:
        if node["type"].startswith(("CodeFormer", "SAM3")):
            specs = info[node["type"]]["input"]
            names = {*specs["required"], *specs.get("optional", {})}
            if "codec" in names:  # has inputs of its own
                names.add("codec.crf")
            assert {entry["name"] for entry in node["inputs"]} == names
            assert [entry["type"] for entry in node["outputs"]] == info[node["type"]]["output"]
    for link, source, output, target, slot, kind in graph["links"]:
        assert link in by_id[source]["outputs"][output]["links"] and by_id[target]["inputs"][slot]["link"] == link
        assert by_id[source]["outputs"][output]["type"] == by_id[target]["inputs"][slot]["type"] == kind


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_shipped_workflow_fits_a_screen_and_nothing_overlaps(path):
    boxes = [(*node["pos"], *node["size"]) for node in json.loads(path.read_text())["nodes"]]
    assert max(x + width for x, _, width, _ in boxes) <= 1700 and max(y + height for _, y, _, height in boxes) <= 1100
    for index, (x, y, width, height) in enumerate(boxes):
        for u, v, wide, high in boxes[index + 1 :]:  # 30 for a node's title
            assert x + width <= u or u + wide <= x or y + height <= v - 30 or v + high <= y - 30


#: Nodes with a slider between before and after of their own.
WITH_SLIDER = {"CodeFormerFixFaces", "CodeFormerRestore", "CodeFormerPasteBack"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_shipped_workflow_shows_before_and_after_once(path):
    graph = json.loads(path.read_text(encoding="utf-8"))
    kinds = {node["id"]: node["type"] for node in graph["nodes"]}
    links = [link for link in graph["links"] if kinds[link[3]] == "CodeFormerCompare"]
    assert not [kinds[source] for _, source, *_ in links if kinds[source] in WITH_SLIDER]


def test_choosing_a_missing_file_fetches_it(server, shared, portrait):
    if (ROOT / "weights" / YUNET).exists():
        pytest.skip(f"weights/{YUNET} is there: nothing is fetched")
    target = server.base / "models/facedetection" / YUNET
    assert not target.exists()
    entry = server.wait(server.queue(detection(detector=YUNET)))
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert target.read_bytes() == (shared / "data/detectors" / YUNET).read_bytes()
    assert not list(target.parent.glob("*.part"))
    assert entry["outputs"]["show"]["text"] == ["1"]
    assert f"Fetching {YUNET}" in server.log and "MIT" in server.log


def test_an_image_without_a_face_is_returned_unchanged_with_a_message(server, portrait, shared):
    shutil.copy(shared / "data/no_face" / "coffee.png", server.base / "input" / "coffee.png")
    prompt = fixing()
    prompt["picture"]["inputs"]["image"] = "coffee.png"
    entry = server.wait(server.queue(prompt))
    result = pixels(server, entry["outputs"]["show"]["images"][0])
    assert np.array_equal(result, np.array(Image.open(shared / "data/no_face" / "coffee.png").convert("RGB")))
    assert "No face found" in server.log


def test_the_preview_of_a_detection_is_shown(server, portrait):
    entry = server.wait(server.queue(detection(confidence=0.81)))
    (image,) = entry["outputs"]["detect"]["images"]
    drawn = pixels(server, image)
    assert image["type"] == "temp" and drawn.shape == portrait.shape and not np.array_equal(drawn, portrait)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"<html><body>404</body></html>", "web page"), (b"", "empty"), (b"PK\x03\x04 not a whole file", "cut off")],
    ids=["a web page", "an empty file", "half a file"],
)
def test_a_file_that_is_not_a_model_is_an_error_that_says_so(server, portrait, content, words):
    (server.base / "models/facerestore_models/broken.pth").write_bytes(content)
    prompt = fixing()
    prompt["model"]["inputs"]["model_name"] = "broken.pth"
    entry = server.wait(server.queue(prompt))
    assert entry["status"]["status_str"] == "error"
    message = server.error(entry)
    assert "broken.pth" in message and words in message


def test_the_blend_that_needs_a_parser_says_so_before_the_work(server, portrait):
    entry = server.wait(server.queue(fixing(mask="face")))
    assert "The blend 'face' needs a face parser" in server.error(entry), "in the words of the node"


def test_the_released_layout_runs_at_its_full_size(server, portrait, filled):
    whole = server.base / "models/facerestore_models/whole.pth"
    torch.save({"params_ema": filled("restoration")}, whole)
    prompt = fixing()
    prompt["model"]["inputs"]["model_name"] = "whole.pth"
    try:
        entry = server.wait(server.queue(prompt), 300)
    finally:
        whole.unlink()  # 377 MB, which pytest would keep for three runs
    assert entry["status"]["status_str"] == "success", entry["status"]
    result = pixels(server, entry["outputs"]["show"]["images"][0])
    changed = (result != portrait).any(-1)
    assert 0.01 < changed.mean() < 0.5


def test_cancel_takes_effect_within_a_face(server, portrait):
    prompt = fixing(fidelity=0.7)
    prompt["many"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["picture", 0], "amount": 60}}
    prompt["fix"]["inputs"]["image"] = ["many", 0]
    prompt_id = server.queue(prompt)
    time.sleep(4)
    assert server.json("/queue")["queue_running"], "the job was over before it could be cancelled"
    server.post("/interrupt", {})
    asked = time.monotonic()
    entry = server.wait(prompt_id, 20)
    assert "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]]
    assert time.monotonic() - asked < 5


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("name", ["Fix faces", "Step by step"])
def test_workflows_that_saved_keep_detail_as_a_switch_run(server, portrait, name, saved):
    (path,) = [path for path in WORKFLOWS if path.stem == name]
    graph = json.loads(path.read_text())
    for node in graph["nodes"]:
        node["widgets_values"] = [saved if value == "auto" else value for value in node.get("widgets_values", [])]
    prompt = server.prompt(graph)
    asked = [node["inputs"] for node in prompt.values() if "keep_detail" in node["inputs"]]
    assert [inputs["keep_detail"] for inputs in asked] == [saved]
    for inputs in asked:
        inputs["mask"], inputs["colour"] = "square", "as restored"
    for node in prompt.values():
        if node["class_type"] in ("CodeFormerFixFaces", "CodeFormerRestore"):
            node["inputs"]["grey"] = "auto"
        if "precision" in node["inputs"]:
            node["inputs"]["precision"] = "auto"
    entry = server.wait(server.queue(prompt))
    assert entry["status"]["status_str"] == "success", entry["status"]


def test_an_unknown_way_to_keep_detail_is_refused_before_the_work(server, portrait):
    answer = server.post("/prompt", {"prompt": fixing(keep_detail="maybe")})
    assert "'maybe' is no choice for keep detail" in json.dumps(answer["node_errors"])
