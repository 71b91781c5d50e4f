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


#: Videos take minutes with networks of full size; test_video.py runs theirs.
QUICK = [path for path in WORKFLOWS if "video" not in path.stem]


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_a_workflow_opens_from_the_templates_and_runs(frontend, path):
    frontend.open_template(path.stem)
    assert not frontend.complaints()
    sent = {key: (node["class_type"], node["inputs"]) for key, node in frontend.prompt().items()}
    shipped = frontend.server.prompt(json.loads(path.read_text(encoding="utf-8")))
    assert sent == {key: (node["class_type"], node["inputs"]) for key, node in shipped.items()}
    entry = frontend.run()
    assert entry["status"]["status_str"] == "success", entry["status"]
    frontend.page.wait_for_function(SHOWN)
    frontend.screenshot(path.stem)
    assert not frontend.complaints() and not frontend.errors


def test_every_node_is_drawn_in_both_renderers(frontend, renderer):
    for path in WORKFLOWS:
        graph = json.loads(path.read_text(encoding="utf-8"))
        frontend.open(graph)
        if renderer == "modern":
            count = "(count) => document.querySelectorAll('[data-node-id]').length === count"
            frontend.page.wait_for_function(count, arg=len(graph["nodes"]))
        assert not frontend.complaints() and not frontend.errors
        frontend.screenshot(f"{path.stem} {renderer}")
