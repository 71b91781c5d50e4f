"""What loaders say about the chosen file before any run, in a real browser, and that the run fetches one that is not there."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
YUNET = "face_detection_yunet_2026may.onnx"


def test_a_missing_file_is_shown_with_size_and_licence_and_fetched_by_the_run(frontend, renderer):
    if (ROOT / "weights" / YUNET).exists():
        pytest.skip(f"weights/{YUNET} is there: nothing is missing")
    path = frontend.server.base / "models/facedetection" / YUNET
    path.unlink(missing_ok=True)
    frontend.server.post("/free", {"unload_models": True, "free_memory": True})  # or the second run would not look
    graph = json.loads((ROOT / "workflows" / "Choose faces.json").read_text(encoding="utf-8"))
    needed = ("LoadImage", "CodeFormerFaceDetectorLoader", "CodeFormerFaceDetect", "CodeFormerFaceSelect")
    graph["nodes"] = [node for node in graph["nodes"] if node["type"] in needed]
    kept = {node["id"] for node in graph["nodes"]}
    graph["links"] = [link for link in graph["links"] if link[1] in kept and link[3] in kept]
    next(node for node in graph["nodes"] if node["type"] == needed[1])["widgets_values"] = [YUNET]
    frontend.reload()
    frontend.open(graph)
    notice = frontend.page.locator(".codeformer-notice .missing")
    notice.wait_for()
    assert "0.2 MB" in notice.inner_text() and "MIT" in notice.inner_text()
    frontend.screenshot(f"a missing file {renderer}")
    try:
        entry = frontend.run()
        assert entry["status"]["status_str"] == "success", entry["status"]
        notice.wait_for(state="detached")
        assert path.stat().st_size == 229738
    finally:
        path.unlink(missing_ok=True)
    assert not frontend.errors


def test_a_file_on_disk_is_not_reported_as_missing(frontend):
    frontend.open(json.loads((ROOT / "workflows" / "Fix faces.json").read_text(encoding="utf-8")))
    frontend.page.get_by_text("Draws faces of 512 px.").wait_for()
    assert frontend.page.locator(".codeformer-notice .missing").count() == 0


#: Choose a model, as a click in the list does.
CHOOSE = """(file) => {
    const widget = app.graph.nodes.find((node) => node.type === "CodeFormerModelLoader").widgets[0]
    widget.value = file
    widget.callback(file)
}"""


def test_what_a_model_draws_is_said_when_it_is_chosen_and_not_again_by_the_run(frontend, renderer):
    frontend.open(json.loads((ROOT / "workflows" / "Fix faces.json").read_text(encoding="utf-8")))
    frontend.page.evaluate(CHOOSE, "codeformer_starter.safetensors")
    said = frontend.page.get_by_text("Draws faces of 128 px. Comes with the project: small and limited")
    said.wait_for()
    frontend.screenshot(f"starter {renderer}")
    assert frontend.run()["status"]["status_str"] == "success"
    frontend.page.wait_for_timeout(300)
    assert said.count() == 1 and not frontend.errors
    frontend.page.evaluate(CHOOSE, "tiny.pth")  # nothing is known about it
    said.wait_for(state="detached")


def test_a_copy_of_a_loader_says_what_its_own_file_draws(frontend, renderer):
    """Converted to a subgraph, copied and pasted, a node is made with the default file and given its own afterwards."""
    frontend.open(json.loads((ROOT / "workflows" / "Fix faces.json").read_text(encoding="utf-8")))
    frontend.page.evaluate(CHOOSE, "codeformer_starter.safetensors")
    copy = """() => {
        const copy = app.graph.nodes.find((node) => node.type === "CodeFormerModelLoader").clone()
        copy.pos = [0, 1000]
        app.graph.add(copy)
        return copy.codeformerNotice.root.textContent
    }"""
    assert "Draws faces of 128 px." in frontend.page.evaluate(copy) and not frontend.errors


def test_a_file_under_the_name_of_another_pack_is_not_called_missing(frontend, renderer):
    """As ReActor names it, in a workflow of somebody who has that file."""
    graph = json.loads((ROOT / "workflows" / "Fix faces.json").read_text(encoding="utf-8"))
    loader = next(node for node in graph["nodes"] if node["type"] == "CodeFormerModelLoader")
    loader["widgets_values"][0], loader["properties"] = "codeformer-v0.1.0.pth", {}
    frontend.open(graph)
    frontend.page.wait_for_timeout(2000)  # in which the host looks for what is missing
    assert not frontend.complaints() and not frontend.page.get_by_text("is missing").count() and not frontend.errors
    assert frontend.widget("CodeFormerModelLoader", "model_name") == "codeformer.pth"
