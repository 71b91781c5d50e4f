"""The images of the help pages, taken in Nodes 2.0 in both languages.

CODEFORMER_RECORD=1 writes them into web/docs; otherwise the nodes must still have the sizes that the committed images show.
"""

import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[4]

#: Pixels around the nodes.
MARGIN = 10

#: The least and largest share of the committed image's side: fonts differ between computers.
LIKE = (0.9, 1.1)

#: The public-domain photo, and the model that comes with the pack, which draws faces: those of the other tests are random.
PHOTO, MODEL = "crew.jpg", "codeformer_starter.safetensors"

#: Help page -> the workflow, the nodes that are shown, and whether it runs first.
SHOWN = {
    "CodeFormerRestore": ("Step by step", ["CodeFormerRestore", "CodeFormerPasteBack"], True),
    "CodeFormerFaceSelect": ("Choose faces", ["CodeFormerFaceSelect"], True),
    "CodeFormerFidelitySweep": ("Choose the fidelity", ["CodeFormerFidelitySweep"], True),
    "CodeFormerCompare": ("Restore then upscale", ["CodeFormerCompare"], True),
    "CodeFormerModelLoader": (
        "Fix faces",
        ["CodeFormerModelLoader", "CodeFormerFaceDetectorLoader", "CodeFormerFixFaces"],
        False,
    ),
    "CodeFormerColorize": ("Old photo in colour", ["CodeFormerColorize", "CodeFormerPasteBack"], False),
    "CodeFormerFixFacesInVideo": (
        "Fix faces in a video",
        ["CodeFormerModelLoader", "CodeFormerFixFacesInVideo", "SaveVideo"],
        False,
    ),
}

#: Help page -> the nodes of a row, and links (node, output, node, input) between them.
ROWS = {
    "CodeFormerFaceParserLoader": (
        ["CodeFormerFaceParserLoader", "CodeFormerFaceMask", "CodeFormerPasteBack"],
        [(0, "parser", 1, "parser"), (1, "masked", 2, "faces")],
    ),
    "CodeFormerBackgroundLoader": (
        ["CodeFormerBackgroundLoader", "CodeFormerInpaint", "CodeFormerPasteBack"],
        [(0, "background_model", 1, "background_model"), (1, "filled", 2, "faces"), (1, "image", 2, "image")],
    ),
    "CodeFormerCertainty": (["CodeFormerFaceDetect", "CodeFormerCertainty"], [(0, "faces", 1, "faces")]),
    "CodeFormerVideoFrames": (
        ["LoadVideo", "CodeFormerVideoFrames", "CodeFormerFixFaces", "CreateVideo"],
        [(0, "VIDEO", 1, "video"), (1, "images", 2, "image"), (2, "fixed", 3, "images")],
    ),
    "CodeFormerOldRestore": (["LoadImage", "CodeFormerOldRestore"], [(0, "IMAGE", 1, "image")]),
    "CodeFormerOldCrop": (["LoadImage", "CodeFormerOldCrop"], [(0, "IMAGE", 1, "image")]),
    "CodeFormerOldReActor": (["LoadImage", "CodeFormerOldReActor"], [(0, "IMAGE", 1, "image")]),
}

BUILD = """async ([kinds, links, photo]) => {
    await app.loadGraphData({ nodes: [], links: [], version: 0.4 }) // also forgets what nodes of the same numbers showed
    const nodes = kinds.map((kind) => LiteGraph.createNode(kind))
    let left = 0
    for (const node of nodes) {
        node.pos = [left, 0]
        app.graph.add(node)
        if (node.type === "LoadVideo") node.widgets[0].value = ""
        if (node.type === "LoadImage") {
            node.widgets[0].value = photo // not whatever the input folder has first
            node.widgets[0].callback(photo)
        }
        node.setSize([kinds.length > 3 ? 270 : 320, Math.min(node.size[1], 300)])
        left += node.size[0] + 50
    }
    const slot = (list, name) => list.findIndex((one) => one.name === name)
    for (const [from, output, to, input] of links) {
        const found = slot(nodes[from].outputs, output)
        nodes[from].connect(found < 0 ? 0 : found, nodes[to], slot(nodes[to].inputs, input))
    }
}"""

#: Moves nodes of these kinds to the corner of the page at a scale of 1; the rectangle around them there.
CORNER = """([kinds, margin]) => {
    const nodes = app.graph.nodes.filter((node) => kinds.includes(node.type)), { ds } = app.canvas
    const least = (axis) => Math.min(...nodes.map((node) => node.pos[axis]))
    ds.scale = 1
    ds.offset = [80 + margin - least(0), 130 - least(1)]
    app.canvas.setDirty(true, true)
}"""
AROUND = """([kinds, margin]) => {
    const nodes = app.graph.nodes.filter((node) => kinds.includes(node.type))
    const boxes = nodes.map((node) => document.querySelector(`[data-node-id="${node.id}"]`).getBoundingClientRect())
    const x = Math.min(...boxes.map((box) => box.left)) - margin, y = Math.min(...boxes.map((box) => box.top)) - margin
    return { x, y, width: Math.max(...boxes.map((box) => box.right)) + margin - x,
        height: Math.max(...boxes.map((box) => box.bottom)) + margin - y }
}"""


@pytest.fixture(scope="module", params=["en", "zh"])
def page(frontend, request) -> Iterator:
    """ComfyUI in a language, in Nodes 2.0, on a large screen, and the photo in its input folder."""
    shutil.copy(ROOT / "docs" / PHOTO, frontend.server.base / "input" / PHOTO)
    frontend.setting("Comfy.Locale", request.param)
    frontend.setting("Comfy.VueNodes.Enabled", True)
    frontend.page.set_viewport_size({"width": 1900, "height": 1200})
    frontend.reload()
    yield frontend, request.param
    frontend.page.set_viewport_size({"width": 1280, "height": 800})
    frontend.setting("Comfy.VueNodes.Enabled", False)
    frontend.setting("Comfy.Locale", "en")
    frontend.reload()


def with_photo(name):
    """A workflow that loads the photo and the model that draws faces."""
    graph = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        if node["type"] == "LoadImage":
            node["widgets_values"][0] = PHOTO
        if node["type"] == "CodeFormerModelLoader" and node["widgets_values"][0] == "codeformer.pth":
            node["widgets_values"][0] = MODEL
    return graph


def check(frontend, language, kind, kinds):
    """Take the image of these nodes, and write it or compare it with the committed one."""
    frontend.page.evaluate(CORNER, [kinds, MARGIN])
    frontend.page.wait_for_timeout(700)
    shot = Image.open(io.BytesIO(frontend.page.screenshot(clip=frontend.page.evaluate(AROUND, [kinds, MARGIN])))).convert("RGB")
    path = ROOT / "web/docs" / kind / f"graph.{language}.jpg"
    if os.environ.get("CODEFORMER_RECORD"):
        quality = next(q for q in range(88, 20, -6) if shot.save(path, quality=q) is None and path.stat().st_size < 60_000)
        assert quality > 40
    committed = Image.open(path)
    shares = [now / then for now, then in zip(shot.size, committed.size, strict=True)]
    assert all(LIKE[0] < share < LIKE[1] for share in shares), f"{shot.size}, and {committed.size} in {path}: record it anew"


@pytest.mark.parametrize("kind", SHOWN)
def test_the_image_of_a_help_page_is_that_of_the_node(page, kind):
    frontend, language = page
    workflow, kinds, run = SHOWN[kind]
    frontend.open(with_photo(workflow))
    if run:
        entry = frontend.run()
        assert entry["status"]["status_str"] == "success", entry["status"]
    if kind == "CodeFormerFaceSelect":
        faces = frontend.page.locator(".codeformer-faces .face")
        faces.nth(2).dblclick()
        faces.nth(1).click()
    check(frontend, language, kind, kinds)


@pytest.mark.parametrize("kind", ROWS)
def test_the_image_of_a_row_of_nodes_is_that_of_the_help_page(page, kind):
    frontend, language = page
    kinds, links = ROWS[kind]
    frontend.page.evaluate(BUILD, [kinds, [list(link) for link in links], PHOTO])
    check(frontend, language, kind, kinds)
