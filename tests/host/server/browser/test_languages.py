"""What a person reads in the browser when ComfyUI is set to Chinese."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
CHINESE = json.loads((ROOT / "locales" / "zh" / "nodeDefs.json").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))

#: The words on the nodes of the open workflow: title, inputs, outputs, widgets, and the chosen options as they are shown.
WORDS = """() => app.graph.nodes.filter((node) => node.comfyClass?.startsWith("CodeFormer")).map((node) => ({
    type: node.comfyClass,
    title: node.title,
    inputs: Object.fromEntries(
        node.inputs.filter((slot) => !slot.widget).map((slot) => [slot.name, slot.label ?? slot.localized_name])),
    outputs: node.outputs.map((slot) => slot.label ?? slot.localized_name),
    widgets: Object.fromEntries((node.widgets ?? []).map((widget) => [widget.name.replace(".", "_"), widget.label])),
    options: Object.fromEntries((node.widgets ?? []).filter((widget) => widget.type === "combo").map((widget) =>
        [widget.name, [widget.value, widget.options.getOptionLabel(widget.value)]])),
}))"""

#: What the widget of Select Faces says.
PICKER_TEXT = """() =>
    app.graph.nodes.find((node) => node.comfyClass === "CodeFormerFaceSelect").widgets
        .find((widget) => widget.name === "codeformer_faces").element.textContent"""

#: One node of each kind, alone on the canvas.
EVERY = """(kinds) => {
    app.graph.clear()
    kinds.forEach((kind, index) => {
        const node = LiteGraph.createNode(kind)
        node.pos = [200 + (index % 6) * 400, 200 + Math.floor(index / 6) * 700]
        app.graph.add(node)
    })
}"""


@pytest.fixture(scope="module")
def chinese(frontend) -> Iterator:
    """The page with ComfyUI set to Chinese."""
    frontend.setting("Comfy.Locale", "zh")
    frontend.reload()
    yield frontend
    frontend.setting("Comfy.Locale", "en")
    frontend.reload()


@pytest.fixture
def traditional(chinese) -> Iterator:
    """The page with ComfyUI set to Traditional Chinese."""
    chinese.setting("Comfy.Locale", "zh-TW")
    chinese.reload()
    yield chinese
    chinese.setting("Comfy.Locale", "zh")
    chinese.reload()


def english_words(nodes) -> list[str]:
    """What these nodes say that is not their Chinese word."""
    wrong = []
    for node in nodes:
        words = CHINESE[node["type"]]
        shown = {**node["inputs"], **{name: label for name, label in node["widgets"].items() if name in words["inputs"]}}
        wrong += [f"{node['type']}.{name}: {said}" for name, said in shown.items() if said != words["inputs"][name]["name"]]
        outputs = [output["name"] for output in words["outputs"].values()]
        wrong += [] if node["outputs"] == outputs else [f"{node['type']}: {node['outputs']}"]
        for name, (value, shown_as) in node["options"].items():
            option = words["inputs"].get(name, {}).get("options", {}).get(value, value)
            wrong += [] if shown_as == option else [f"{node['type']}.{name}: {shown_as}"]
    return wrong


def test_every_node_speaks_chinese(chinese):
    chinese.page.evaluate(EVERY, list(CHINESE))
    nodes = chinese.page.evaluate(WORDS)
    assert {node["type"]: node["title"] for node in nodes} == {name: words["display_name"] for name, words in CHINESE.items()}
    assert not english_words(nodes)


def test_in_an_untranslated_language_names_options_and_widgets_are_all_english(traditional):
    """ComfyUI translates the names, our scripts the rest: once the latter took zh for zh-TW, so nodes were mixed."""
    traditional.page.evaluate(EVERY, list(CHINESE))
    nodes = traditional.page.evaluate(WORDS)
    assert len(nodes) == len(CHINESE) and not re.search(r"[\u4e00-\u9fff]", json.dumps(nodes, ensure_ascii=False))
    assert "Run the workflow once" in traditional.page.evaluate(PICKER_TEXT)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_shipped_workflow_speaks_chinese(chinese, path):
    chinese.open(json.loads(path.read_text(encoding="utf-8")))
    nodes = chinese.page.evaluate(WORDS)
    assert nodes and not english_words(nodes)


def test_the_options_of_a_combo_are_chinese(chinese):
    chinese.setting("Comfy.VueNodes.Enabled", True)
    try:
        chinese.page.evaluate(EVERY, ["CodeFormerPasteBack"])
        chinese.page.get_by_role("combobox", name="融合方式").click()
        for shown in CHINESE["CodeFormerPasteBack"]["inputs"]["mask"]["options"].values():
            chinese.page.get_by_role("option", name=shown).wait_for()
        chinese.page.get_by_role("option", name="宽羽化（box）").click()
        assert chinese.widget("CodeFormerPasteBack", "mask") == "box"  # what is saved and sent stays as it is
    finally:
        chinese.setting("Comfy.VueNodes.Enabled", False)


#: Detect Faces without a detector, which is said when it runs.
INCOMPLETE = """() => {
    app.graph.clear()
    const [load, detect, save] = ["LoadImage", "CodeFormerFaceDetect", "PreviewImage"].map((kind) => LiteGraph.createNode(kind))
    for (const node of [load, detect, save]) app.graph.add(node)
    load.widgets.find((widget) => widget.name === "image").value = "example.png"
    load.connect(0, detect, "image")
    detect.connect(3, save, 0)
}"""


@pytest.mark.parametrize(("locale", "said"), [("zh", "没有人脸检测器"), ("zh-TW", "Found no face detector")])
def test_an_error_of_a_run_is_in_the_language_of_the_interface(chinese, locale, said):
    chinese.setting("Comfy.Locale", locale)
    chinese.reload()  # a second after a change of language the host opens the workflow anew, in the place of ours
    try:
        chinese.page.evaluate(INCOMPLETE)
        assert said in chinese.server.error(chinese.run())
    finally:
        chinese.setting("Comfy.Locale", "zh")
        chinese.reload()  # closes what shows the error


#: A loader with the name of a file that nobody has, which the host refuses before the run.
REFUSED = {
    "nodes": [
        {
            **{"id": 1, "type": "CodeFormerModelLoader", "pos": [300, 300], "size": [300, 150]},
            "outputs": [{"name": "model", "type": "CODEFORMER_MODEL", "links": [1]}],
            "widgets_values": ["mine.pth", "auto"],
        },
        {
            **{"id": 2, "type": "PreviewAny", "pos": [700, 300], "size": [200, 150]},
            "inputs": [{"name": "source", "type": "*", "link": 1}],
        },
    ],
    "links": [[1, 1, 0, 2, 0, "CODEFORMER_MODEL"]],
    "version": 0.4,
}


def test_what_is_refused_before_a_run_is_in_the_language_of_the_interface(chinese, renderer):
    chinese.open(REFUSED)
    try:
        with chinese.page.expect_response("**/api/prompt") as answer:
            chinese.page.get_by_test_id("queue-button").click()
        (errors,) = answer.value.json()["node_errors"].values()
        assert "不在本机上" in errors["errors"][0]["details"]
        chinese.page.get_by_role("button", name="查看详情").click()
        chinese.page.locator("button:has([class*='lucide--info']):not([data-node-id] *)").last.click(timeout=10_000)
        chinese.page.get_by_text("不在本机上").first.wait_for(timeout=10_000)
        chinese.page.screenshot(path=chinese.shots / f"refused {renderer}.png")
    finally:
        chinese.reload()  # closes what shows the error


@pytest.mark.parametrize("kind", ["CodeFormerFixFaces", "CodeFormerFixFacesInVideo"])
def test_the_help_page_of_a_node_opens_with_its_image(chinese, kind):
    chinese.page.evaluate(EVERY, [kind])
    chinese.page.wait_for_timeout(1000)  # a node is drawn before anybody selects it
    chinese.page.evaluate("app.canvas.selectNode(app.graph.nodes[0])")
    chinese.page.get_by_test_id("info-button").click()
    page = chinese.page.locator(".node-help-content")
    page.get_by_role("heading", name="常见问题").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == CHINESE[kind]["display_name"]
    width = "(image) => image.decode().then(() => image.naturalWidth)"
    assert page.locator("img").evaluate(width) > 300
    chinese.screenshot(f"help {kind}")
