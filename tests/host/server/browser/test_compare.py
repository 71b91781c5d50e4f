"""Before and after, and Fidelity Sweep, in a real browser: what they show, and what dragging, keys and clicks do."""

import json
from pathlib import Path

import pytest

WORKFLOWS = Path(__file__).resolve().parents[4] / "workflows"

#: The line, the files of both sides, and how the images are enlarged, in the panel of the first node of a kind.
PANEL = """(kind) => {
    const node = app.graph.nodes.find((node) => node.type === kind)
    const panel = node.widgets.find((widget) => widget.name === "codeformer_compare").element
    const sides = [...panel.querySelectorAll("img")]
    return {
        line: Number(panel.querySelector("[role=slider]")?.getAttribute("aria-valuenow")),
        shown: sides.length === 2 && sides.every((image) => image.complete && image.naturalWidth > 0),
        files: sides.map((image) => new URL(image.src).searchParams.get("filename")),
        transform: sides[0]?.style.transform,
        clip: sides[1] && getComputedStyle(sides[1].parentElement).clipPath,
    }
}"""


#: Adds Before and After, of the image that is loaded and the image that faces were pasted into.
COMPARE = """() => {
    const compare = LiteGraph.createNode("CodeFormerCompare")
    compare.pos = [1240, 630]
    app.graph.add(compare)
    const sources = ["LoadImage", "CodeFormerPasteBack"]
    sources.forEach((kind, slot) => app.graph.nodes.find((node) => node.type === kind).connect(0, compare, slot))
    compare.setSize([420, 420])
}"""


@pytest.fixture
def shown(frontend, renderer):
    """A workflow with all three nodes that compare images or crops, after a run, in both renderers."""
    graph = json.loads((WORKFLOWS / "Step by step.json").read_text(encoding="utf-8"))
    frontend.open(graph)
    frontend.page.evaluate(COMPARE)
    frontend.run()
    return frontend


def panel(frontend, kind):
    """What the panel of a kind of node shows, once its images are there."""
    frontend.page.wait_for_function(f"(kind) => ({PANEL})(kind).shown", arg=kind)
    return frontend.page.evaluate(PANEL, kind)


def locate(frontend, kind):
    """The picture in the panel of a kind of node, in the middle of the page at a scale of 1."""
    frontend.page.evaluate(
        """(kind) => {
            const node = app.graph.nodes.find((node) => node.type === kind), { ds } = app.canvas
            ds.scale = 1
            ds.offset = [300 - node.pos[0], 100 - node.pos[1]]
            app.canvas.setDirty(true, true)
        }""",
        kind,
    )
    frontend.page.wait_for_timeout(300)
    marked = """(kind) => app.graph.nodes.find((node) => node.type === kind).widgets
        .find((widget) => widget.name === "codeformer_compare").element.id = `panel-${kind}`"""
    frontend.page.evaluate(marked, kind)
    return frontend.page.locator(f"#panel-{kind}")


@pytest.mark.parametrize("kind", ["CodeFormerRestore", "CodeFormerPasteBack", "CodeFormerCompare"])
def test_a_run_shows_before_and_after_in_the_node(shown, kind):
    now = panel(shown, kind)
    before, after = now["files"]
    assert before != after and now["line"] == 50 and now["transform"] == ""
    assert not shown.errors


def test_the_line_follows_the_pointer_and_the_keys(shown, renderer):
    picture = locate(shown, "CodeFormerCompare").locator(".picture")
    box = picture.bounding_box()
    mouse, keyboard = shown.page.mouse, shown.page.keyboard
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 3, steps=4)
    mouse.up()
    now = panel(shown, "CodeFormerCompare")
    assert abs(now["line"] - 25) <= 1 and now["clip"].startswith("inset(0px 0px 0px 2")
    shown.page.screenshot(path=shown.shots / f"the line between before and after {renderer}.png")
    mouse.move(box["x"], box["y"])
    assert panel(shown, "CodeFormerCompare")["line"] == now["line"]  # only while it is held
    for _ in range(5):
        keyboard.press("ArrowRight")
    assert panel(shown, "CodeFormerCompare")["line"] == now["line"] + 10
    keyboard.press("Home")
    assert panel(shown, "CodeFormerCompare")["line"] == 0


def test_a_face_fills_the_view(shown, renderer):
    box = locate(shown, "CodeFormerPasteBack")
    box.get_by_label("What is shown").select_option("Face 1")
    assert "scale(" in panel(shown, "CodeFormerPasteBack")["transform"]
    shown.page.screenshot(path=shown.shots / f"zoomed to a face {renderer}.png")
    box.get_by_label("What is shown").select_option("Whole image")
    assert panel(shown, "CodeFormerPasteBack")["transform"] == ""


def test_fix_faces_shows_before_and_after_too(frontend, renderer):
    frontend.open(json.loads((WORKFLOWS / "Fix faces.json").read_text(encoding="utf-8")))
    frontend.run()
    before, after = panel(frontend, "CodeFormerFixFaces")["files"]
    assert before != after


def test_a_click_on_a_cell_of_the_sweep_sets_the_fidelity_of_restore(frontend, renderer):
    frontend.open(json.loads((WORKFLOWS / "Choose the fidelity.json").read_text(encoding="utf-8")))
    frontend.run()
    assert frontend.widget("CodeFormerRestore", "fidelity") == 0.5
    cell = frontend.page.get_by_role("button", name="Use the fidelity 0.25")
    cell.click()
    assert frontend.widget("CodeFormerRestore", "fidelity") == 0.25
    assert cell.get_attribute("aria-pressed") == "true"
    frontend.screenshot(f"fidelity sweep {renderer}")
    frontend.page.keyboard.press("Control+z")
    frontend.page.wait_for_function(
        "app.graph.nodes.find((n) => n.type === 'CodeFormerRestore').widgets.find((w) => w.name === 'fidelity').value === 0.5"
    )
    frontend.page.get_by_role("button", name="Use the fidelity 1").click()
    assert frontend.widget("CodeFormerRestore", "fidelity") == 1
    assert not frontend.errors


def test_a_sweep_that_belongs_to_no_node_says_so(frontend):
    graph = json.loads((WORKFLOWS / "Choose the fidelity.json").read_text(encoding="utf-8"))
    frontend.open(graph)
    frontend.run()
    frontend.page.evaluate("() => app.graph.remove(app.graph.nodes.find((node) => node.type === 'CodeFormerRestore'))")
    frontend.page.get_by_role("button", name="Use the fidelity 0.25").click()
    frontend.page.get_by_text("Connect CodeFormer Restore to the same faces").wait_for()
    frontend.page.evaluate("() => app.graph.add(LiteGraph.createNode('CodeFormerFixFaces'))")  # the only one that repairs
    frontend.page.get_by_role("button", name="Use the fidelity 0.75").click()
    assert frontend.widget("CodeFormerFixFaces", "fidelity") == 0.75
