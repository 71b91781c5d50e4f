"""How the pack fits into ComfyUI's interface: colours, the text below nodes, the properties panel, menus and the search."""

import json
from pathlib import Path

import pytest

WORKFLOWS = Path(__file__).resolve().parents[4] / "workflows"

TYPES = ["CODEFORMER_MODEL", "CODEFORMER_DETECTOR", "CODEFORMER_PARSER", "CODEFORMER_FACES"]

#: For a theme: colours as CSS has them, and what they lie on.
COLOURS = """(types) => {
    const style = getComputedStyle(document.documentElement), value = (name) => style.getPropertyValue(name).trim()
    const node = LiteGraph.createNode("CodeFormerFixFaces")
    return {
        canvas: types.map((type) => app.canvas.default_connection_color_byType[type]),
        links: types.map((type) => LGraphCanvas.link_type_colors[type]),
        sockets: types.map((type) => value(`--color-datatype-${type}`)),
        notice: value("--codeformer-notice"),
        background: LiteGraph.NODE_DEFAULT_BGCOLOR,
        title: node.color,
        word: app.canvas.node_title_color,
        ordinary: LiteGraph.NODE_DEFAULT_COLOR,
    }
}"""


def luminance(colour):
    """The relative luminance of #rgb or #rrggbb, as WCAG defines it."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """The ratio that WCAG calls contrast."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(params=["dark", "light"])
def theme(frontend, request):
    """Both of ComfyUI's themes."""
    frontend.setting("Comfy.ColorPalette", request.param)
    frontend.page.wait_for_timeout(300)
    yield request.param
    frontend.setting("Comfy.ColorPalette", "dark")


def test_sockets_and_notices_have_colours_of_their_own_that_can_be_read(frontend, theme):
    found = frontend.page.evaluate(COLOURS, TYPES)
    assert found["canvas"] == found["links"] == found["sockets"]
    assert len(set(found["sockets"])) == len(TYPES)
    for colour in [*found["sockets"], found["notice"]]:
        assert contrast(colour, found["background"]) >= 4.5, (theme, colour)
    assert found["title"] != found["ordinary"]
    if theme == "dark":  # in light themes ComfyUI lightens the colours of nodes
        assert contrast(found["title"], found["word"]) >= 4.5


@pytest.mark.parametrize("renderer", ["modern"], indirect=True)
def test_titles_can_be_read_in_nodes_2(frontend, renderer, theme):
    frontend.open(json.loads((WORKFLOWS / "Fix faces.json").read_text(encoding="utf-8")))
    measured = """() => {
        const id = app.graph.nodes.find((node) => node.type === "CodeFormerFixFaces").id
        const header = document.querySelector(`[data-node-id="${id}"] .lg-node-header`)
        const word = header.querySelector("[data-testid=node-title]") ?? header
        const solid = (element) => {
            const colour = getComputedStyle(element).backgroundColor
            return /, 0\\)$/.test(colour) && element.parentElement ? solid(element.parentElement) : colour
        }
        return [solid(header), getComputedStyle(word).color]
    }"""
    frontend.screenshot(f"theme {theme}")
    assert contrast(*map(hexadecimal(frontend), frontend.page.evaluate(measured))) >= 4.5


def hexadecimal(frontend):
    """A function from any CSS colour to #rrggbb."""
    convert = """(colour) => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d")
        canvas.fillStyle = colour
        canvas.fillRect(0, 0, 1, 1)
        return "#" + [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v.toString(16).padStart(2, "0")).join("")
    }"""
    return lambda colour: frontend.page.evaluate(convert, colour)


@pytest.mark.parametrize("renderer", ["modern"], indirect=True)
def test_a_report_keeps_its_lines_and_tells_only_why_faces_are_left_alone(frontend, renderer):
    graph = json.loads((WORKFLOWS / "Choose faces.json").read_text(encoding="utf-8"))
    next(node for node in graph["nodes"] if node["type"] == "LoadImage")["widgets_values"][0] = "couple.png"
    frontend.open(graph)
    only = """() => { app.graph.nodes.find((node) => node.type === "CodeFormerFaceSelect").widgets
        .find((widget) => widget.name === "numbers").value = "1" }"""
    frontend.page.evaluate(only)
    frontend.server.post("/free", {"unload_models": True, "free_memory": True})
    frontend.run()
    text = frontend.page.get_by_text("Worked on: 1").first
    text.wait_for()
    worked_on, left_alone, reason = text.inner_text().splitlines()
    assert (worked_on, left_alone) == ("Worked on: 1", "Left alone: 1") and " px at (" in reason


def test_the_properties_panel_has_no_rows_for_what_the_node_shows(frontend):
    frontend.reload()  # so that the panel is closed
    kinds = ["CodeFormerFaceSelect", "CodeFormerFixFaces", "CodeFormerFidelitySweep", "CodeFormerModelLoader"]
    hidden = """(kinds) => kinds.flatMap((kind) =>
        LiteGraph.createNode(kind).widgets.filter((widget) => widget.name.startsWith("codeformer_"))
            .map((widget) => widget.options.hideInPanel || widget.options.canvasOnly))"""
    assert all(frontend.page.evaluate(hidden, kinds))
    frontend.open(json.loads((WORKFLOWS / "Choose faces.json").read_text(encoding="utf-8")))
    frontend.page.evaluate("app.canvas.selectNode(app.graph.nodes.find((node) => node.type === 'CodeFormerFaceSelect'))")
    frontend.page.get_by_role("button", name="Toggle properties panel").first.click()
    frontend.page.get_by_text("only if less sharp than").last.wait_for()
    frontend.screenshot("properties panel")
    names = frontend.page.get_by_text("codeformer_", exact=False).count()
    frontend.page.get_by_role("button", name="Toggle properties panel").last.click()
    assert names == 0


#: Where the title of the only node is on the page.
TITLE = """() => {
    const [{ pos }] = app.graph.nodes, { ds, canvas } = app.canvas, { left, top } = canvas.getBoundingClientRect()
    return [left + (pos[0] + 60 + ds.offset[0]) * ds.scale, top + (pos[1] - 12 + ds.offset[1]) * ds.scale]
}"""


def test_fix_faces_from_here_adds_the_node_with_its_loaders(frontend, renderer):
    frontend.page.evaluate("""() => {
        app.graph.clear()
        const node = LiteGraph.createNode("LoadImage")
        app.graph.add(node)
        node.widgets.find((widget) => widget.name === "image").value = "example.png"
    }""")
    frontend.screenshot(f"before fix faces from here {renderer}")
    frontend.page.mouse.click(*frontend.page.evaluate(TITLE), button="right")
    frontend.page.get_by_text("Fix faces from here").click()
    frontend.page.wait_for_function("app.graph.nodes.length === 5")
    assert not frontend.complaints()
    sent = frontend.prompt()
    kinds = {node["class_type"]: node["inputs"] for node in sent.values()}
    assert {"LoadImage", "CodeFormerModelLoader", "CodeFormerFaceDetectorLoader", "CodeFormerFixFaces"} <= kinds.keys()
    wired = {name: sent[kinds["CodeFormerFixFaces"][name][0]]["class_type"] for name in ("image", "model", "detector")}
    assert wired == {"image": "LoadImage", "model": "CodeFormerModelLoader", "detector": "CodeFormerFaceDetectorLoader"}
    frontend.page.evaluate("""() => {
        const node = app.graph.nodes.find((node) => node.type === "LoadImage")
        app.canvas.getNodeMenuOptions(node).find((option) => option?.content === "Fix faces from here").callback()
    }""")
    counted = "(kind) => app.graph.nodes.filter((node) => node.type === kind).length"
    assert [frontend.page.evaluate(counted, kind) for kind in ("CodeFormerModelLoader", "CodeFormerFixFaces")] == [1, 2]
    frontend.screenshot(f"fix faces from here {renderer}")
    no_image = "() => app.canvas.getNodeMenuOptions(LiteGraph.createNode('CodeFormerModelLoader')).map((o) => o?.content)"
    assert "Fix faces from here" not in frontend.page.evaluate(no_image)
    assert not frontend.errors


@pytest.mark.parametrize("text", ["face", "fix", "restore", "修复人脸"])
def test_the_search_has_fix_faces_among_the_first_three(frontend, text):
    frontend.page.evaluate("app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
    search = frontend.page.get_by_role("combobox").last
    search.fill(text)
    frontend.page.locator("[role=option]").filter(has_text="Fix Faces (CodeFormer)").wait_for()
    frontend.page.wait_for_timeout(300)
    found = frontend.page.locator("[role=option]").all_inner_texts()
    frontend.page.keyboard.press("Escape")
    assert any("Fix Faces (CodeFormer)" in entry for entry in found[:3]), found[:5]
