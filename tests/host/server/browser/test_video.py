"""Fix Faces in Video in a real browser: the frame being written, the widgets for a part of the video, Cancel."""

import json
from pathlib import Path

import numpy as np
from small_clips import read_clip

WORKFLOW = Path(__file__).resolve().parents[4] / "workflows" / "Fix faces in a video.json"

#: The frames that are shown in the node of this id, in either renderer.
SHOWN = """(id) => [...(app.graph.getNodeById(id).imgs ?? []), ...document.querySelectorAll(`[data-node-id="${id}"] img`)]
    .filter((image) => image.src.startsWith("blob:") && image.naturalWidth).map((image) => image.src)"""

#: Set widgets of the node of this id.
SET = """([id, values]) => {
    const node = app.graph.getNodeById(id)
    for (const [name, value] of Object.entries(values)) {
        const widget = node.widgets.find((widget) => widget.name === name)
        widget.value = value
        widget.callback?.(value)
    }
}"""


def start(frontend, fix):
    """Press Run and wait until a frame is shown; the id of the prompt."""
    before = frontend.page.evaluate(SHOWN, fix)
    with frontend.page.expect_response("**/api/prompt") as answer:
        frontend.page.get_by_test_id("queue-button").click()
    new = f"([id, before]) => ({SHOWN})(id).some((shown) => !before.includes(shown))"
    frontend.page.wait_for_function(new, arg=[fix, before])
    return answer.value.json()["prompt_id"]


def test_a_part_of_a_video_is_fixed_and_shown_meanwhile_and_cancel_says_how_far_it_came(frontend, renderer):
    server, page = frontend.server, frontend.page
    graph = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    nodes = {node["type"]: node for node in graph["nodes"]}
    nodes["LoadVideo"]["widgets_values"][0] = "example.mp4"
    nodes["CodeFormerModelLoader"]["widgets_values"][0] = "tiny.pth"
    frontend.open(graph)
    fix = frontend.node("CodeFormerFixFacesInVideo")
    page.evaluate(SET, [fix, {"side": 256, "always": True, "first_frame": 10, "frame_limit": 12, "every": 3}])
    server.post("/free", {"unload_models": True, "free_memory": True})  # or the other renderer's result would do
    entry = server.wait(start(frontend, fix))
    assert entry["status"]["status_str"] == "success", entry["status"]
    page.get_by_text("4 frames, 4 of them with faces").first.wait_for()
    frontend.screenshot(f"part of a video {renderer}")
    (image,) = next(output for output in entry["outputs"].values() if "images" in output)["images"]
    made = read_clip(server.base / "output" / image["subfolder"] / image["filename"])
    source = read_clip(server.base / "input" / "example.mp4")[10:22:3]
    assert made.shape == source.shape and np.median(np.abs(made.astype(int) - source)) < 3

    page.evaluate(SET, [fix, {"first_frame": 0, "frame_limit": 0, "every": 1}])
    prompt_id = start(frontend, fix)
    server.post("/interrupt", {})
    page.get_by_text("Cancelled after").first.wait_for(timeout=20_000)
    frontend.screenshot(f"a cancelled video {renderer}")
    assert "execution_interrupted" in [kind for kind, _ in server.wait(prompt_id)["status"]["messages"]]
    assert not frontend.errors
