"""API prompts stay valid: the smallest one of every node, and those that the first version's browser sent."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

#: Shipped workflow of 0.1.0 -> the prompt that the browser made of it then.
FIRST_VERSION = json.loads(Path(__file__).with_name("first_version.json").read_text(encoding="utf-8"))

NODES = [
    *("ModelLoader", "FaceDetectorLoader", "FaceParserLoader", "BackgroundLoader", "FixFaces", "FixFacesInVideo"),
    *("VideoFrames", "FaceDetect", "FaceSelect", "SelectPerson", "Restore", "Colorize", "Inpaint", "FidelitySweep"),
    *("Certainty", "FaceMask", "FacesToCrops", "FacesFromCrops", "BlendFaces", "PasteBack", "Compare", "OldRestore"),
    *("OldCrop", "OldReActor"),
]

#: What the smallest prompt of a node needs beside its required inputs: one of several sources, or a file without a default.
ALSO = {
    "FaceDetect": {"detector": ["detector", 0]},
    "Inpaint": {"image": ["picture", 0]},
    "ModelLoader": {"model_name": "tiny.pth"},
    "FaceDetectorLoader": {"model_name": "detection_mobilenet0.25_Final.pth"},
    "FaceParserLoader": {"model_name": "parsing_parsenet.pth"},
    "BackgroundLoader": {"model_name": "ddcolor_paper_tiny.pth"},
    "OldRestore": {"facedetection": "retinaface_mobile0.25"},  # the default's file is not here
    "OldCrop": {"facedetection": "retinaface_mobile0.25"},
    "OldReActor": {"facedetection": "retinaface_mobile0.25", "model": "tiny.pth"},
}

#: Nodes that need a network for another task.
TASKS = {"Colorize": "codeformer_colorization.pth", "Inpaint": "codeformer_inpainting.pth"}

SOURCES = {
    "IMAGE": "picture",
    "VIDEO": "clip",
    "CODEFORMER_MODEL": "model",
    "CODEFORMER_DETECTOR": "detector",
    "CODEFORMER_FACES": "faces",
}


@pytest.fixture(scope="module")
def clip(server):
    """Four small frames under the name that the workflows load."""
    with av.open(str(server.base / "input" / "example.mp4"), "w") as file:
        stream = file.add_stream("h264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for level in (0, 80, 160, 240):
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), level, np.uint8))
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def smallest(server, name):
    """The prompt with nothing that may be left out, and the sources that its sockets need."""
    definition = server.json(f"/object_info/CodeFormer{name}")[f"CodeFormer{name}"]
    required = definition["input"]["required"]
    sockets = {entry: [SOURCES[spec[0]], 0] for entry, spec in required.items() if spec[0] in SOURCES}
    detect = {"image": ["picture", 0], "detector": ["detector", 0]}
    nodes = {
        "picture": ("LoadImage", {"image": "example.png"}),
        "clip": ("LoadVideo", {"file": "example.mp4"}),
        "model": ("CodeFormerModelLoader", {"model_name": TASKS.get(name, "tiny.pth")}),
        "detector": ("CodeFormerFaceDetectorLoader", ALSO["FaceDetectorLoader"]),
        "faces": ("CodeFormerFaceDetect", detect),
        "node": (f"CodeFormer{name}", {**sockets, **ALSO.get(name, {})}),
    }
    if definition["output"]:
        nodes["end"] = ("PreviewAny", {"source": ["node", 0]})
    assert required.keys() <= nodes["node"][1].keys(), "a widget with a default is required"
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}


@pytest.mark.parametrize("name", NODES)
def test_the_smallest_prompt_of_a_node_runs(server, portrait, clip, name):
    prompt = smallest(server, name)
    prompt_id = server.queue(prompt)
    if name not in ("FaceParserLoader", "BackgroundLoader"):  # their files are not here, and nothing is to be fetched
        entry = server.wait(prompt_id)
        assert entry["status"]["status_str"] == "success", entry["status"]


def test_every_node_has_its_smallest_prompt(server):
    ours = {name for name, node in server.json("/object_info").items() if "codeformer-suite" in node["python_module"]}
    assert ours == {f"CodeFormer{name}" for name in NODES}


@pytest.mark.parametrize("name", sorted(FIRST_VERSION))
def test_a_prompt_of_the_first_version_runs(server, portrait, clip, name):
    entry = server.wait(server.queue(json.loads(json.dumps(FIRST_VERSION[name]))))
    assert entry["status"]["status_str"] == "success", entry["status"]


def test_widgets_are_in_the_order_of_the_first_version(server):
    """A workflow saves the values of widgets without names; the browser shows the required ones before the optional ones."""
    info = server.json("/object_info")
    for node in [node for prompt in FIRST_VERSION.values() for node in prompt.values()]:
        if not node["class_type"].startswith("CodeFormer"):
            continue
        specs = info[node["class_type"]]["input"]
        saved = [name for name, value in node["inputs"].items() if not isinstance(value, list) and "." not in name]
        shown = [name for name in [*specs["required"], *specs.get("optional", {})] if name in saved]
        assert shown == saved, node["class_type"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(("name", "widget"), [("FixFaces", "fidelity"), ("Restore", "painted"), ("FaceSelect", "min_size")])
def test_a_number_that_is_none_is_refused(server, portrait, name, widget, value):
    prompt = smallest(server, name)
    prompt["node"]["inputs"][widget] = value
    answer = server.post("/prompt", {"prompt": prompt})
    if "prompt_id" in answer and not answer["node_errors"]:  # the host compares with the limits, which NaN passes
        assert f"at {widget}. Expected a number" in server.error(server.wait(answer["prompt_id"]))


def test_no_definition_of_a_node_names_a_folder_of_this_computer(server):
    ours = {name: node for name, node in server.json("/object_info").items() if name.startswith("CodeFormer")}
    text = json.dumps(ours)
    assert str(server.base) not in text and str(Path.home()) not in text and "models/facedetection" in text


def test_faces_can_be_connected_to_a_fix_that_has_run(server, portrait):
    """They were not kept; the fix is not queued again for their sake."""
    prompt = smallest(server, "FixFaces")
    prompt["node"]["inputs"] |= {"fidelity": 0.31, "always": True}
    assert server.wait(server.queue(prompt))["status"]["status_str"] == "success"
    prompt["crops"] = {"class_type": "CodeFormerFacesToCrops", "inputs": {"faces": ["node", 2]}}
    prompt["show"] = {"class_type": "PreviewImage", "inputs": {"images": ["crops", 0]}}
    entry = server.wait(server.queue(prompt))
    assert entry["status"]["status_str"] == "success" and len(entry["outputs"]["show"]["images"]) == 1
    cached = next(data["nodes"] for kind, data in entry["status"]["messages"] if kind == "execution_cached")
    assert "node" in cached
