"""Select Faces in a real browser: a click switches a face off, and a run leaves it as it was."""

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


def test_a_click_on_a_face_leaves_it_alone(frontend, renderer, couple, graph):
    frontend.open(graph)
    entry = frontend.run()
    (picture,) = entry["outputs"][str(frontend.node("CodeFormerFaceSelect"))]["codeformer_faces"]
    faces = sorted(picture["faces"], key=lambda face: face["numbers"]["left"])
    assert changed(frontend, entry, couple, faces) == [True, True]
    left, right = (frontend.page.get_by_role("button", name=f"Face {number}:") for number in (1, 2))
    left.click()
    assert frontend.widget("CodeFormerFaceSelect", "numbers") == "2"
    frontend.screenshot(f"a face switched off {renderer}")
    assert left.get_attribute("aria-pressed") == "false" and right.get_attribute("aria-pressed") == "true"
    entry = frontend.run()
    assert changed(frontend, entry, couple, faces) == [False, True]
    assert not frontend.errors


def test_the_keyboard_does_what_a_click_does_and_one_face_stays(frontend, graph):
    frontend.open(graph)
    frontend.run()
    left, right = (frontend.page.get_by_role("button", name=f"Face {number}:") for number in (1, 2))
    left.focus()
    frontend.page.keyboard.press("Space")
    assert frontend.widget("CodeFormerFaceSelect", "numbers") == "2"
    frontend.page.keyboard.press("Tab")  # the focus has stayed on the face that was pressed
    frontend.page.keyboard.press("Enter")
    assert frontend.widget("CodeFormerFaceSelect", "numbers") == "2"  # nobody chosen would mean everybody
    frontend.page.get_by_text("One face stays selected.").wait_for()
    left.click()
    assert frontend.widget("CodeFormerFaceSelect", "numbers") == ""


def test_the_choice_is_saved_and_sent_as_plain_text(frontend, graph):
    node = next(node for node in graph["nodes"] if node["type"] == "CodeFormerFaceSelect")
    values = [value if value != "" else "2" for value in node["widgets_values"]]
    frontend.open({**graph, "nodes": [{**one, "widgets_values": values} if one is node else one for one in graph["nodes"]]})
    assert frontend.prompt()[str(node["id"])]["inputs"]["numbers"] == "2"
    saved = frontend.page.evaluate("() => app.graph.serialize().nodes.find((n) => n.type === 'CodeFormerFaceSelect')")
    assert saved["widgets_values"] == values
