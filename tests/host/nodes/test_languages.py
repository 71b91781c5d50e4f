"""Names, tooltips, options and help pages in English and Chinese, beside the schemas that they speak of."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = ("en", "zh")
DEFS = {
    language: json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8")) for language in LANGUAGES
}

#: Combos of files and formats, whose options are names in every language.
NAMED_ALIKE = {"model_name", "model", "facedetection", "codec"}

#: What Chinese text may not do without.
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a translation, with where it stands."""
    if isinstance(value, str):
        yield path, value
    else:
        for key, below in value.items():
            yield from leaves(below, f"{path}/{key}")


def inputs(schema: Any) -> dict[str, list[Any]]:
    """Inputs by the name that the browser looks for; those that hang on a choice of a combo once for each choice."""
    from comfy_api.latest import io

    found: dict[str, list[Any]] = {}
    for entry in schema.inputs:
        found.setdefault(entry.id, []).append(entry)
        for choice in entry.options if isinstance(entry, io.DynamicCombo.Input) else []:
            for below in choice.inputs:
                found.setdefault(f"{entry.id}_{below.id}", []).append(below)
    return found


def options(entry: Any) -> list[str]:
    """The words that a combo offers."""
    from comfy_api.latest import io

    return list(entry.options) if isinstance(entry, io.Combo.Input) and entry.id not in NAMED_ALIKE else []


def sections(page: str) -> str:
    """What a page says in its lists of inputs."""
    return "\n".join(line for line in page.splitlines() if line.startswith("- **"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_node_socket_and_option_has_its_words_and_there_are_no_others(pack, language):
    assert list(DEFS[language]) == list(pack.nodes)
    for name, node in pack.nodes.items():
        words, schema = DEFS[language][name], node.GET_SCHEMA()
        assert set(words) == {"display_name", "description", "inputs", "outputs"}, name
        assert {socket: list(said.get("options", ())) for socket, said in words["inputs"].items()} == {
            socket: options(entries[0]) for socket, entries in inputs(schema).items()
        }, name
        assert list(words["outputs"]) == [str(index) for index in range(len(schema.outputs))], name
        for socket in [*words["inputs"].values(), *words["outputs"].values()]:
            assert socket["name"] and socket["tooltip"], (name, socket)


def test_the_english_words_are_those_of_the_schemas(pack):
    for name, node in pack.nodes.items():
        words, schema = DEFS["en"][name], node.GET_SCHEMA()
        assert (words["display_name"], words["description"]) == (schema.display_name, schema.description), name
        for socket, entries in inputs(schema).items():
            for entry in entries:
                said = words["inputs"][socket]
                if socket == entry.id:
                    assert said["tooltip"] == entry.tooltip, f"{name}.{socket}"
                if entry.display_name:
                    assert said["name"] == entry.display_name, f"{name}.{socket}"
                assert all(option == shown for option, shown in said.get("options", {}).items()), f"{name}.{socket}"
        for index, entry in enumerate(schema.outputs):
            said = words["outputs"][str(index)]
            assert said == {"name": entry.display_name or entry.id, "tooltip": entry.tooltip}, f"{name}.{entry.id}"


def test_nothing_keeps_the_browser_from_translating(pack):
    """It prefers the schema's name of an input without a widget, and the schema's words of one that hangs on a choice."""
    from comfy_api.latest import io

    for name, node in pack.nodes.items():
        for socket, entries in inputs(node.GET_SCHEMA()).items():
            for entry in entries:
                if not isinstance(entry, (io.WidgetInput, io.DynamicCombo.Input)) or getattr(entry, "force_input", False):
                    assert entry.display_name is None, f"{name}.{socket}"
                if socket != entry.id:
                    assert entry.display_name is None and entry.tooltip is None, f"{name}.{socket}"


SHIPPED = sorted([*(ROOT / "workflows").glob("*.json"), *(ROOT / "subgraphs").glob("*.json")])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_shipped_workflow_fixes_the_words_of_a_language(path):
    """A label that is saved with a node is shown in every language."""
    graph = json.loads(path.read_text(encoding="utf-8"))
    parts = [graph, *graph.get("definitions", {}).get("subgraphs", [])]
    ours = [node for part in parts for node in part["nodes"] if node["type"].startswith("CodeFormer")]
    labelled = [
        (node["type"], slot["name"])
        for node in ours
        for slot in [*node.get("inputs", []), *node.get("outputs", [])]
        if slot.keys() & {"label", "localized_name"}
    ]
    assert ours and not labelled


def test_the_chinese_words_are_chinese():
    english = dict(leaves(DEFS["en"]))
    for path, text in leaves(DEFS["zh"]):
        assert CHINESE.search(text) and text != english[path], path


def test_one_english_word_is_one_chinese_word():
    """The names of inputs and outputs: somebody who knows one node reads the next."""
    chinese: dict[str, set[str]] = {}
    english = dict(leaves(DEFS["en"]))
    for path, text in leaves(DEFS["zh"]):
        if path.endswith("/name") or "/options/" in path:
            chinese.setdefault(english[path], set()).add(text)
    assert not {word: said for word, said in chinese.items() if len(said) > 1 and word != "confidence"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_node_has_a_page_that_speaks_of_each_input(pack, language):
    pages = {path.parent.name: path.read_text(encoding="utf-8") for path in (ROOT / "web/docs").glob(f"*/{language}.md")}
    assert set(pages) == set(pack.nodes)
    for name, page in pages.items():
        words = DEFS[language][name]
        assert page.startswith(f"# {words['display_name']}\n"), name
        said = re.findall(r"\*\*([^*]+)\*\*", sections(page))
        missing = [entry["name"] for entry in words["inputs"].values() if entry["name"] not in said]
        assert not missing, (name, missing)
        offered = {option: shown for entry in words["inputs"].values() for option, shown in entry.get("options", {}).items()}
        missing = [option for option, shown in offered.items() if f"`{option}`" not in page and shown not in page]
        assert not missing, (name, missing)
        headings = re.findall(r"^## (.+)$", page, re.M)
        assert headings[-1] == {"en": "Usual mistakes", "zh": "常见问题"}[language], name
        assert bool(CHINESE.search(page)) == (language == "zh"), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_page_calls_a_node_or_an_input_is_called_so(pack, language):
    """Bold words in a page are names: of this page's sockets, of a node, or of another node's input."""
    known = {text for path, text in leaves(DEFS[language]) if path.endswith(("/display_name", "/name"))}
    known |= {name.replace(" (CodeFormer)", "").replace("（CodeFormer）", "") for name in known}
    for path in sorted((ROOT / "web/docs").glob(f"*/{language}.md")):
        bold = set(re.findall(r"\*\*([^*]+)\*\*", path.read_text(encoding="utf-8")))
        assert bold - known <= OTHERS[language], path


#: Nodes of the host that the pages name, and the short name of one of ours.
OTHERS = {
    "en": {"Load Image", "Load Video", "Save Video", "Create Video", "Load Upscale Model", "MediaPipe Face Landmarker"}
    | {"Colorize", "Inpaint"},
    "zh": {"加载图像", "加载视频", "保存视频", "创建视频", "加载放大模型", "MediaPipe 人脸标记器"},
}


def test_every_page_shows_a_small_picture_and_no_picture_is_left_over():
    shown = set()
    for path in (ROOT / "web/docs").glob("*/*.md"):
        pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
        assert len(pictures) == 1, path
        shown.update(ROOT / "web/docs" / picture for picture in pictures)  # the browser resolves them against web/docs
    assert shown == set((ROOT / "web/docs").glob("*/*.jpg"))
    for picture in shown:
        assert Image.open(picture).format == "JPEG" and picture.stat().st_size < 60_000, picture
