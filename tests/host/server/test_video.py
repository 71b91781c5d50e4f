"""Videos in the real host: the shipped workflow, what Save Video makes of it, Cancel."""

import json
import shutil
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch

WORKFLOW = Path(__file__).resolve().parents[3] / "workflows" / "Fix faces in a video.json"


@pytest.fixture(scope="module")
def speech(server, shared):
    """Two seconds of a speech under the name that the workflow loads."""
    source = shared / "data/video/hamilton_2s_speech_2997.mp4"
    shutil.copy(source, server.base / "input" / "example.mp4")
    return source


@pytest.fixture
def prompt(server, speech):
    """The workflow as an API prompt, with a network of 64 pixels and a smaller search; node type -> its inputs."""
    graph = server.prompt(json.loads(WORKFLOW.read_text()))
    inputs = {node["class_type"]: node["inputs"] for node in graph.values()}
    inputs["LoadVideo"]["file"] = "example.mp4"  # the shipped workflow names none
    inputs["CodeFormerModelLoader"]["model_name"] = "tiny.pth"
    inputs["CodeFormerFixFacesInVideo"] |= {"side": 256, "always": True, "keep_detail": False}  # a switch once, so it was saved
    return graph, inputs


def temporary(server):
    """Our files in the host's temporary folder, half-written ones included."""
    return {path for path in (server.base / "temp").glob("*") if "codeformer" in path.name}


def frames(path):
    """(B, H, W, 3) of 0 to 255, and the time of each frame in seconds."""
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    return np.stack([frame.to_ndarray(format="rgb24") for frame in decoded]), [frame.time for frame in decoded]


def packets(path, kind):
    """What is in the first stream of a kind, still compressed, with its times."""
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.pts * packet.time_base) for packet in container.demux(**{kind: 0}) if packet.size]


def test_the_shipped_workflow_fixes_faces_and_keeps_the_rest(server, prompt, speech, mobilenet):
    graph, _ = prompt
    fix = next(key for key, node in graph.items() if node["class_type"] == "CodeFormerFixFacesInVideo")
    graph["see"] = {"class_type": "PreviewAny", "inputs": {"source": [fix, 2]}}
    there = temporary(server)
    entry = server.wait(server.queue(graph), 300)
    assert entry["status"]["status_str"] == "success", entry["status"]
    (shown,) = [output for output in entry["outputs"].values() if "images" in output]
    (saved,) = [server.base / "output" / image["subfolder"] / image["filename"] for image in shown["images"]]
    (report,) = entry["outputs"]["see"]["text"]
    assert report.startswith("60 frames, ") and "tracked" in report

    (before, times), (after, new_times) = frames(speech), frames(saved)
    assert after.shape == before.shape == (60, 360, 640, 3) and new_times == times
    assert packets(saved, "audio") == packets(speech, "audio")
    with av.open(str(speech)) as old, av.open(str(saved)) as new:
        assert new.streams.video[0].duration * new.streams.video[0].time_base == pytest.approx(
            old.streams.video[0].duration * old.streams.video[0].time_base
        )
        assert "prompt" in new.metadata, "Save Video keeps the workflow in the file"

    images = torch.from_numpy(before[::15]).permute(0, 3, 1, 2).float() / 255
    inside = np.zeros(before.shape[1:3], bool)
    for face in mobilenet.detect(images):
        (x0, y0, x1, y1), grown = face.box, (face.box[2] - face.box[0])
        inside[int(max(0, y0 - grown)) : int(y1 + grown), int(max(0, x0 - grown)) : int(x1 + grown)] = True
    changed = np.abs(after.astype(int) - before).mean((0, 3))
    x0, y0, x1, y1 = map(int, max(mobilenet.detect(images[:1]), key=lambda face: face.score).box)
    assert 0.2 < inside.mean() < 0.9 and changed[~inside].mean() < 1.5
    assert changed[y0:y1, x0:x1].mean() > 3 * changed[~inside].mean()

    (made,) = temporary(server) - there
    assert packets(saved, "video") == packets(made, "video"), "Save Video has compressed the result again"


def test_frames_go_back_through_the_hosts_create_video(server, speech):
    window = {"start": 20, "count": 10, "every": 2}
    graph = {
        "video": {"class_type": "LoadVideo", "inputs": {"file": "example.mp4"}},
        "some": {"class_type": "CodeFormerVideoFrames", "inputs": {**window, "video": ["video", 0]}},
        "made": {"class_type": "CreateVideo", "inputs": {"images": ["some", 0], "audio": ["some", 1], "fps": ["some", 2]}},
        "save": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["made", 0], "filename_prefix": "some", "format": "auto", "format.codec": "auto"},
        },
        "times": {"class_type": "PreviewAny", "inputs": {"source": ["some", 4]}},
    }
    entry = server.wait(server.queue(graph))
    assert entry["status"]["status_str"] == "success", entry["status"]
    (image,) = entry["outputs"]["save"]["images"]
    old, times = frames(speech)
    new, new_times = frames(server.base / "output" / image["filename"])
    assert len(new) == 10 and np.diff(new_times) == pytest.approx(2002 / 30000, abs=1e-4)
    assert np.abs(new.astype(int) - old[20:40:2]).mean() < 5
    shown = [float(time) for time in entry["outputs"]["times"]["text"][0].split(", ")]
    assert shown == pytest.approx(times[20:40:2], abs=1e-5)
    with av.open(str(server.base / "output" / image["filename"])) as container:
        assert container.streams.audio[0].duration * container.streams.audio[0].time_base == pytest.approx(0.667, abs=0.03)


def test_cancel_takes_effect_within_the_frames_at_once_and_leaves_no_file(server, prompt, shared):
    shutil.copy(shared / "data/video/lp_s32_720p.mp4", server.base / "input" / "long.mp4")
    graph, inputs = prompt
    inputs["LoadVideo"]["file"] = "long.mp4"
    inputs["CodeFormerFixFacesInVideo"] |= {"fidelity": 0.61, "chunk": 16}
    before = temporary(server)
    prompt_id = server.queue(graph)
    end = time.monotonic() + 120
    while temporary(server) <= before and time.monotonic() < end:
        time.sleep(0.05)
    assert temporary(server) > before, "nothing was written within two minutes"
    server.post("/interrupt", {})
    asked = time.monotonic()
    entry = server.wait(prompt_id, 60)
    assert "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]]
    assert time.monotonic() - asked < 30
    assert temporary(server) <= before


def test_an_image_instead_of_a_video_is_an_error_that_says_so(server, prompt):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(server.base / "input" / "picture.mp4", format="PNG")
    graph, inputs = prompt
    inputs["LoadVideo"]["file"] = "picture.mp4"
    entry = server.wait(server.queue(graph))
    assert "is an image, expected a video" in server.error(entry)
