"""Select Faces in a real browser: what a click on a face offers, also after whatever makes the host load the nodes anew."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WORKFLOW = Path(__file__).resolve().parents[4] / "workflows" / "Choose faces.json"


@pytest.fixture(scope="module")
def graph():
    """The shipped workflow with that picture."""
    graph = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    node = next(node for node in graph["nodes"] if node["type"] == "LoadImage")
    node["widgets_values"][0] = "couple.png"
    return graph


def changed(frontend, entry, before, faces):
    """For each face whether the run changed its middle."""
    (image,) = entry["outputs"][str(frontend.node("SaveImage"))]["images"]
    after = np.array(Image.open(io.BytesIO(frontend.server.get("/view?" + "&".join(f"{k}={v}" for k, v in image.items())))))
    height, width = before.shape[:2]
    result = []
    for face in faces:
        x, y, wide, high = face["place"]
        middle = np.s_[int((y + high / 3) * height) : int((y + high / 1.5) * height), int(x * width) : int((x + wide) * width)]
        result.append(not np.array_equal(after[middle], before[middle]))
    return result


@pytest.fixture
def shown(frontend, renderer, graph):
    """The workflow after a run, with its two faces in Select Faces, in both renderers."""
    frontend.open(graph)
    frontend.run()
    face(frontend, 1).wait_for()
    return frontend


def face(frontend, number):
    """The box around a face."""
    return frontend.page.get_by_role("button", name=f"Face {number}:")


def pressed(frontend):
    """For each face whether its box says that it is on."""
    return [face(frontend, number).get_attribute("aria-pressed") == "true" for number in (1, 2)]


def numbers(frontend):
    return frontend.widget("CodeFormerFaceSelect", "numbers")


def undo(frontend, key="Control+z"):
    """Undo, and what the host loads for it."""
    loaded = "new Promise((done) => setTimeout(done, 700))"  # the host loads the whole workflow anew
    frontend.page.keyboard.press(key)
    frontend.page.evaluate(loaded)


def test_a_click_offers_to_leave_the_face_alone(shown, renderer, couple):
    entry = shown.run()
    (picture,) = entry["outputs"][str(shown.node("CodeFormerFaceSelect"))]["codeformer_faces"]
    faces = sorted(picture["faces"], key=lambda found: found["numbers"]["left"])
    assert changed(shown, entry, couple, faces) == [True, True]
    face(shown, 1).click()
    assert numbers(shown) == ""
    shown.page.get_by_role("checkbox", name="repair Face 1").click()
    assert numbers(shown) == "2" and pressed(shown) == [False, True]
    shown.page.get_by_text("1 of 2 faces selected").wait_for()
    shown.screenshot(f"a face switched off {renderer}")
    entry = shown.run()
    assert changed(shown, entry, couple, faces) == [False, True]
    assert not shown.errors


def test_a_click_offers_a_fidelity_that_stays_with_its_face(shown):
    face(shown, 2).click()
    shown.page.get_by_role("slider", name="Fidelity of Face 2").fill("0.8")
    assert shown.widget("CodeFormerRestore", "per_face") == "-, 0.8"
    assert "w 0.8" in face(shown, 2).inner_text()
    face(shown, 1).dblclick()
    assert (numbers(shown), shown.widget("CodeFormerRestore", "per_face")) == ("2", "0.8")
    entry = shown.run()
    assert entry["status"]["status_str"] == "success", entry["status"]
    face(shown, 2).click()
    shown.page.get_by_role("button", name="Use the fidelity of CodeFormer Restore again").click()
    assert shown.widget("CodeFormerRestore", "per_face") == ""


def test_undo_and_redo_leave_a_picker_that_works(shown):
    """Nodes 2.0 once went on showing the picker of the node object before the undo: clicks changed nothing that is sent."""
    face(shown, 1).dblclick()
    undo(shown)
    assert numbers(shown) == "" and pressed(shown) == [True, True]
    undo(shown, "Control+y")
    assert numbers(shown) == "2" and pressed(shown) == [False, True]
    face(shown, 2).dblclick()  # the last one: it stays
    assert numbers(shown) == "2"
    face(shown, 1).dblclick()
    assert numbers(shown) == "" and pressed(shown) == [True, True]
    face(shown, 2).dblclick()
    sent = shown.prompt()[str(shown.node("CodeFormerFaceSelect"))]["inputs"]
    assert sent["numbers"] == "1" and pressed(shown) == [True, False]
    assert not shown.errors


def test_the_picker_is_there_after_another_tab_and_after_a_reload(shown, renderer, graph):
    face(shown, 1).dblclick()
    tabs = shown.page.locator(".workflow-tab")
    mine = tabs.count() - 1
    shown.page.evaluate("app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
    shown.page.wait_for_function("app.graph.nodes.every((node) => node.type !== 'CodeFormerFaceSelect')")
    tabs.nth(mine).click()
    shown.page.wait_for_function("app.graph.nodes.some((node) => node.type === 'CodeFormerFaceSelect')")
    face(shown, 1).wait_for()
    assert pressed(shown) == [False, True]
    saved = shown.page.evaluate("() => app.graph.serialize()")
    shown.reload()
    shown.open(saved)
    face(shown, 1).wait_for()  # from the server's history
    assert pressed(shown) == [False, True]
    face(shown, 1).dblclick()
    assert numbers(shown) == "" and pressed(shown) == [True, True]


#: Open the subgraph of the workflow, as a double click on its node does.
ENTER = """() => {
    const block = app.graph.nodes.find((node) => node.isSubgraphNode?.())
    app.canvas.openSubgraph(block.subgraph, block)
}"""


def test_a_copy_and_a_subgraph_have_pickers_of_their_own(shown):
    shown.page.evaluate("""() => {
        const node = app.graph.nodes.find((node) => node.type === "CodeFormerFaceSelect")
        app.canvas.copyToClipboard([node])
        app.canvas.pasteFromClipboard()
    }""")
    values = """() => app.graph.nodes.filter((node) => node.type === "CodeFormerFaceSelect")
        .sort((one, other) => one.id - other.id).map((node) => node.widgets[1].value)"""
    face(shown, 1).dblclick()
    assert shown.page.evaluate(values) == ["2", ""]
    shown.page.evaluate("""() => {
        const nodes = app.graph.nodes.filter((node) => node.type === "CodeFormerFaceSelect")
        const [original, copy] = nodes.sort((one, other) => one.id - other.id)
        app.graph.remove(copy)
        app.graph.convertToSubgraph(new Set([original]))
    }""")
    shown.page.evaluate(ENTER)
    shown.run()
    face(shown, 1).wait_for()
    saved = shown.page.evaluate("() => app.rootGraph.serialize()")
    shown.reload()
    shown.open(saved)
    shown.page.evaluate(ENTER)
    face(shown, 1).wait_for()  # from the server's history
    assert pressed(shown) == [False, True]
    face(shown, 1).dblclick()
    assert shown.page.evaluate("app.canvas.graph.nodes[0].widgets[1].value") == ""
    shown.page.evaluate("app.canvas.setGraph(app.rootGraph)")


def repeated(graph, amount):
    """The workflow up to Restore, which no output node asks for, with the image as a batch."""
    needed = ("LoadImage", "CodeFormerFaceDetectorLoader", "CodeFormerFaceDetect", "CodeFormerFaceSelect", "CodeFormerRestore")
    graph = json.loads(json.dumps(graph))
    nodes = {node["type"]: node for node in graph["nodes"] if node["type"] in needed}
    batch = {
        **{"id": 90, "type": "RepeatImageBatch", "pos": [0, 1200], "size": [200, 60], "flags": {}, "order": 0, "mode": 0},
        "inputs": [{"name": "image", "type": "IMAGE", "link": 91}],
        "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": []}],
        "widgets_values": [amount],
    }
    ids = {node["id"] for node in nodes.values()}
    links = [link for link in graph["links"] if {link[1], link[3]} <= ids]
    for link in links:
        link[1] = 90 if link[1] == nodes["LoadImage"]["id"] else link[1]
    links.append([91, nodes["LoadImage"]["id"], 0, 90, 0, "IMAGE"])
    nodes["CodeFormerFaceDetect"]["widgets_values"][1] = 320
    for node in (everyone := [*nodes.values(), batch]):
        for row, slot in enumerate(node.get("outputs", ())):
            slot["links"] = [link[0] for link in links if link[1:3] == [node["id"], row]]
        for slot in node.get("inputs", ()):
            slot["link"] = slot.get("link") if slot.get("link") in [link[0] for link in links] else None
    return {**graph, "nodes": everyone, "links": links}


def test_each_image_of_a_batch_chooses_by_itself_and_the_count_is_that_of_the_report(frontend, renderer, graph):
    """Once no face of a batch of more than 16 images took a fidelity of its own."""
    frontend.open(repeated(graph, 33))
    frontend.run()
    frontend.page.get_by_text("66 of 66 faces selected").wait_for()
    frontend.page.get_by_role("button", name="Next image").click()
    face(frontend, 1).dblclick()
    assert numbers(frontend) == "2: 2"
    frontend.page.get_by_text("65 of 66 faces selected").wait_for()
    face(frontend, 2).dblclick()
    assert numbers(frontend) == "2: 0"
    frontend.page.get_by_text("64 of 66 faces selected").wait_for()
    frontend.page.get_by_role("combobox", name="Image shown").select_option("Image 33 of 33")  # beyond those that come as files
    face(frontend, 2).click()
    frontend.page.get_by_role("slider", name="Fidelity of Face 2").fill("0.8")
    assert frontend.widget("CodeFormerRestore", "per_face") == ", ".join([*["-"] * 63, "0.8"])
    frontend.screenshot(f"image 33 {renderer}")
    frontend.run()
    report = "app.graph.nodes.find((n) => n.type === 'CodeFormerFaceSelect').widgets.at(-1).value"
    frontend.page.wait_for_function(f"{report}?.startsWith?.('Worked on: 64')")
    assert not frontend.errors


def test_the_keyboard_does_what_a_click_does_and_one_face_stays(frontend, graph):
    frontend.open(graph)
    frontend.run()
    face(frontend, 1).focus()
    frontend.page.keyboard.press("Space")
    assert numbers(frontend) == "2"
    frontend.page.keyboard.press("Tab")  # the focus has stayed on the face that was pressed
    frontend.page.keyboard.press("Space")
    assert numbers(frontend) == "2"  # nobody chosen would mean everybody
    frontend.page.get_by_text("One face stays selected.").wait_for()


def test_the_choice_is_saved_and_sent_as_plain_text(frontend, graph):
    node = next(node for node in graph["nodes"] if node["type"] == "CodeFormerFaceSelect")
    values = [value if value != "" else "2" for value in node["widgets_values"]]
    frontend.open({**graph, "nodes": [{**one, "widgets_values": values} if one is node else one for one in graph["nodes"]]})
    assert frontend.prompt()[str(node["id"])]["inputs"]["numbers"] == "2"
    saved = frontend.page.evaluate("() => app.graph.serialize().nodes.find((n) => n.type === 'CodeFormerFaceSelect')")
    assert saved["widgets_values"] == values
