"""The shipped workflows in a real browser: opened from the templates, run, looked at."""

import json
from pathlib import Path

import pytest

WORKFLOWS = sorted((Path(__file__).resolve().parents[4] / "workflows").glob("*.json"))

#: The pictures of the nodes that show a result have come, in either renderer.
SHOWN = """() => app.graph.nodes.filter((node) => ["SaveImage", "PreviewImage"].includes(node.type)).every((node) => {
    const drawn = node.imgs ?? [...document.querySelectorAll(`[data-node-id="${node.id}"] img`)]
    return drawn.length && drawn.every((image) => image.complete && image.naturalWidth)
})"""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_opens_from_the_templates_and_runs(frontend, path):
    frontend.open_template(path.stem)
    assert not frontend.complaints()
    sent, shipped = frontend.prompt(), frontend.server.prompt(json.loads(path.read_text(encoding="utf-8")))
    assert sent.keys() == shipped.keys()
    for key, node in shipped.items():  # Load Video sends its preview too
        assert sent[key]["class_type"] == node["class_type"] and node["inputs"].items() <= sent[key]["inputs"].items()
    if "video" in path.stem:
        return  # minutes with networks of full size; test_video.py runs it
    entry = frontend.run()
    assert entry["status"]["status_str"] == "success", entry["status"]
    frontend.page.wait_for_function(SHOWN)
    frontend.screenshot(path.stem)
    assert not frontend.complaints() and not frontend.errors


@pytest.mark.parametrize("renderer", ["modern"], indirect=True)
def test_every_node_is_drawn_in_the_modern_renderer_too(frontend, renderer):
    for path in WORKFLOWS:
        graph = json.loads(path.read_text(encoding="utf-8"))
        frontend.open(graph)
        count = "(count) => document.querySelectorAll('[data-node-id]').length === count"
        frontend.page.wait_for_function(count, arg=len(graph["nodes"]))
        assert not frontend.complaints() and not frontend.errors
