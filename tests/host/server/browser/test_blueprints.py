"""The blueprints: listed by the host, whole, and one inserted with the search and run."""

import json
from pathlib import Path

import pytest

BLUEPRINTS = sorted((Path(__file__).resolve().parents[4] / "subgraphs").glob("*.json"))

#: A picture into the first node of the canvas and out of it.
AROUND = """() => {
    const [block] = app.graph.nodes, load = LiteGraph.createNode("LoadImage"), save = LiteGraph.createNode("SaveImage")
    for (const node of [load, save]) app.graph.add(node)
    block.pos = [400, 50]
    save.pos = [850, 50]
    load.widgets.find((widget) => widget.name === "image").value = "example.png"
    load.connect(0, block, block.findInputSlot("image"))
    block.connect(block.findOutputSlot("image"), save, 0)
}"""


def test_the_host_lists_the_blueprints(server):
    listed = [
        one["name"] for one in server.json("/global_subgraphs").values() if "codeformer-suite" in one["info"]["node_pack"]
    ]
    assert sorted(listed) == sorted(path.stem for path in BLUEPRINTS)
    assert [name.rsplit(" ", 1)[0] for name in sorted(listed)] == [
        *("Fix Faces then Upscale", "Fix Faces with Models", "Restore an Old Photo")
    ]


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_has_the_sockets_of_its_nodes(server, path):
    (inner,) = json.loads(path.read_text(encoding="utf-8"))["definitions"]["subgraphs"]
    info = server.json("/object_info")
    for node in inner["nodes"]:
        specs = info[node["type"]]["input"]
        assert {entry["name"] for entry in node["inputs"]} == {*specs["required"], *specs.get("optional", {})}
        assert [entry["type"] for entry in node["outputs"]] == info[node["type"]]["output"]


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_opens_whole(frontend, path):
    graph = json.loads(path.read_text(encoding="utf-8"))
    frontend.open(graph)
    assert not frontend.complaints() and not frontend.errors
    inner = {node["class_type"] for node in frontend.prompt().values()}
    assert inner == {node["type"] for node in graph["definitions"]["subgraphs"][0]["nodes"]}


@pytest.mark.parametrize("text", ["老照片", "修复", "人脸", "Old Photo"])
def test_the_search_finds_blueprints_in_both_languages(frontend, text):
    """The browser shows the file name in every language, and heeds no search words of a blueprint that the host lists."""
    frontend.page.evaluate("app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
    search = frontend.page.get_by_role("combobox").last
    search.fill(text)
    expected = "修复人脸后放大" if text == "人脸" else "修复老照片"
    frontend.page.get_by_text(expected).first.wait_for()
    frontend.page.keyboard.press("Escape")
    search.wait_for(state="hidden")


def test_a_blueprint_is_inserted_with_the_search_and_runs(frontend):
    frontend.page.evaluate("() => app.graph.clear()")
    frontend.page.evaluate("app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
    search = frontend.page.get_by_role("combobox").last
    search.fill("Restore an Old Photo")
    frontend.page.get_by_text("Restore an Old Photo").last.wait_for()
    frontend.page.keyboard.press("Enter")
    search.wait_for(state="hidden")
    frontend.page.wait_for_function("app.canvas.state.ghostNodeId != null")
    frontend.page.locator("#graph-canvas").click(position={"x": 600, "y": 300})  # where it is put down
    frontend.page.wait_for_function("app.graph.nodes.length === 1 && app.canvas.state.ghostNodeId == null")
    frontend.page.evaluate(AROUND)
    assert not frontend.complaints()
    entry = frontend.run()
    assert entry["status"]["status_str"] == "success", entry["status"]
    (image,) = entry["outputs"][str(frontend.node("SaveImage"))]["images"]
    assert image["type"] == "output"
    frontend.screenshot("a blueprint")
    assert not frontend.errors
