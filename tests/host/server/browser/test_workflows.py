"""The shipped workflows in a real browser: opened from the templates, run, looked at."""

import json
from pathlib import Path

import pytest

WORKFLOWS = sorted((Path(__file__).resolve().parents[4] / "workflows").glob("*.json"))

#: Two take minutes with networks of full size, one needs SAM3's: test_video.py and test_server.py run them.
SLOW = ("Fix faces in a video", "Keep what covers a face", "Old photo, everything")

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
    for key, node in shipped.items():  # Load Video sends its preview too, and the first clip, since the template names none
        node["inputs"] = {name: value for name, value in node["inputs"].items() if value is not None}
        assert sent[key]["class_type"] == node["class_type"] and node["inputs"].items() <= sent[key]["inputs"].items()
    if path.stem in SLOW:
        return
    entry = run(frontend)
    assert entry["status"]["status_str"] == "success", entry["status"]
    frontend.page.wait_for_function(SHOWN)
    frontend.screenshot(path.stem)
    assert not frontend.complaints() and not frontend.errors
    assert not overlapping(frontend.page.evaluate(BOXES))


def run(frontend):
    """Press Run after everything was unloaded, so that nodes say what they did; the history of the prompt."""
    frontend.server.post("/free", {"unload_models": True, "free_memory": True})
    return frontend.run()


@pytest.mark.parametrize("renderer", ["modern"], indirect=True)
def test_every_node_is_drawn_in_the_modern_renderer_too(frontend, renderer):
    for path in WORKFLOWS:
        graph = json.loads(path.read_text(encoding="utf-8"))
        frontend.open(graph)
        count = "(count) => document.querySelectorAll('[data-node-id]').length === count"
        frontend.page.wait_for_function(count, arg=len(graph["nodes"]))
        assert not frontend.complaints() and not frontend.errors


#: The nodes' boxes in the graph's units, as they are drawn, with their titles.
BOXES = """() => app.graph.nodes.map((node) => {
    const [x, y] = node.pos, [width, height] = node.size, scale = app.canvas.ds.scale
    const drawn = LiteGraph.vueNodesMode && document.querySelector(`[data-node-id="${node.id}"]`).getBoundingClientRect()
    const size = drawn ? { width: drawn.width / scale, height: drawn.height / scale } : { width, height: height + 30 }
    return { type: node.type, x, y: y - 30, ...size }
})"""

#: Whether a note shows all of its text, and little else.
NOTE = """() => {
    const note = app.graph.nodes.find((node) => node.type === "MarkdownNote")
    const text = document.querySelector(`[data-node-id="${note.id}"] .comfy-markdown-content, .comfy-markdown .tiptap`)
    const lines = [...text.children].map((line) => line.getBoundingClientRect())
    const height = Math.max(...lines.map((line) => line.bottom)) - Math.min(...lines.map((line) => line.top))
    return [height / app.canvas.ds.scale, text.scrollHeight, text.clientHeight]
}"""


#: What loaders say when none of the files is on disk yet.
NOTHING_ON_DISK = """() => app.graph.nodes.map((node) => node.codeformerNotice).filter(Boolean).forEach((notice) => {
    const notices = { en: "Non-commercial use only (S-Lab License 1.0)" }
    const file = { bytes: 376637898, licence: "S-Lab License 1.0", notice: notices, folder: "models/facerestore_models" }
    notice.files = { ...notice.files, missing: { [notice.file.value]: file } }
    notice.draw()
})"""


def overlapping(boxes):
    """The pairs of boxes that lie on each other."""
    return [
        (one["type"], other["type"])
        for row, one in enumerate(boxes)
        for other in boxes[:row]
        if one["x"] < other["x"] + other["width"]
        and other["x"] < one["x"] + one["width"]
        and one["y"] < other["y"] + other["height"]
        and other["y"] < one["y"] + one["height"]
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_node_lies_on_another_before_or_after_a_run(frontend, renderer, path):
    frontend.open(json.loads(path.read_text(encoding="utf-8")))
    frontend.page.evaluate(NOTHING_ON_DISK)
    frontend.screenshot(f"{path.stem} before {renderer}")
    assert not overlapping(frontend.page.evaluate(BOXES))
    used, needed, given = frontend.page.evaluate(NOTE)
    assert needed <= given + 1 and given < used + 120, "a note is as large as its text"
    if path.stem in SLOW or renderer == "classic":  # where it has run above
        return
    run(frontend)
    frontend.screenshot(f"{path.stem} after {renderer}")
    assert not overlapping(frontend.page.evaluate(BOXES))


def test_fix_faces_comes_first_among_the_templates(frontend):
    frontend.page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    dialog = frontend.page.get_by_role("dialog")
    dialog.get_by_text("codeformer-suite", exact=True).first.click()
    first = dialog.locator("[data-testid^='template-workflow-']").first
    frontend.page.wait_for_function(
        "(card) => card.dataset.testid === 'template-workflow-Fix faces'", arg=first.element_handle()
    )
    frontend.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


#: How many widgets of each of our nodes the classic renderer shows at first.
SHOWN_WIDGETS = """(kinds) => Object.fromEntries(kinds.map((kind) => {
    const node = LiteGraph.createNode(kind)
    app.graph.add(node)
    const shown = node.widgets.filter((widget) => node.isWidgetVisible(widget) && !widget.name.startsWith("codeformer_"))
    app.graph.remove(node)
    return [kind, shown.length]
}))"""


def test_the_classic_renderer_shows_at_most_eight_widgets_and_the_others_behind_a_button(frontend):
    ours = [kind for kind in frontend.server.json("/object_info") if kind.startswith("CodeFormer") and "Old" not in kind]
    widgets = [kind for kind in ours if frontend.page.evaluate("(kind) => !!LiteGraph.createNode(kind).widgets", kind)]
    shown = frontend.page.evaluate(SHOWN_WIDGETS, widgets)
    assert max(shown.values()) <= 8, shown
    frontend.open(json.loads((WORKFLOWS[0].parent / "Fix faces.json").read_text(encoding="utf-8")))
    count = """() => {
        const node = app.graph.nodes.find((node) => node.type === "CodeFormerFixFaces")
        return [node.widgets.filter((widget) => node.isWidgetVisible(widget)).length, node.size[1]]
    }"""
    press = """() => {
        const node = app.graph.nodes.find((node) => node.type === "CodeFormerFixFaces")
        node.widgets.find((widget) => widget.name === "codeformer_advanced").callback()
    }"""
    few, height = frontend.page.evaluate(count)
    frontend.page.evaluate(press)
    many, taller = frontend.page.evaluate(count)
    assert many > few + 8 and taller > height
    frontend.page.evaluate(press)
    assert frontend.page.evaluate(count) == [few, height]
