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
CHINESE_WORDS = json.loads((ROOT / "locales/zh/nodeDefs.json").read_text(encoding="utf-8"))

#: What Chinese text may not do without.
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a translation, with where it stands."""
    if isinstance(value, str):
        yield path, value
    else:
        for key, below in value.items():
            yield from leaves(below, f"{path}/{key}")


def sections(page: str) -> str:
    """What a page says in its lists of inputs."""
    return "\n".join(line for line in page.splitlines() if line.startswith("- **"))


@pytest.fixture(scope="module")
def words(pack):
    """Language -> node id -> its words, in the layout of nodeDefs.json."""
    from .english_words import english_words

    return {"en": english_words(pack.nodes), "zh": CHINESE_WORDS}


def test_the_english_file_says_only_what_the_schemas_do_not(pack):
    from .english_words import overrides, schema_words

    schemas = dict(leaves(schema_words(pack.nodes)))
    assert not [path for path, text in leaves(overrides()) if schemas.get(path, "") == text]
    assert {path for path, _ in leaves(overrides())} <= set(schemas)


def test_every_english_name_is_made_of_words(words):
    names = [text for path, text in leaves(words["en"]) if path.endswith("/name") and "/CodeFormerOld" not in path]
    assert all(names) and not [name for name in names if "_" in name or name.isupper()]


def test_every_node_socket_and_option_has_its_chinese_words_and_there_are_no_others(words):
    assert [path for path, _ in leaves(words["zh"])] == [path for path, _ in leaves(words["en"])]


def test_nothing_keeps_the_browser_from_translating(pack):
    """It prefers the schema's name of an input without a widget, and the schema's words of one that hangs on a choice."""
    from .english_words import has_widget, inputs

    for name, node in pack.nodes.items():
        for socket, entries in inputs(node.GET_SCHEMA()).items():
            for entry in entries:
                if not has_widget(entry):
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


def test_the_chinese_words_are_chinese(words):
    english = dict(leaves(words["en"]))
    for path, text in leaves(words["zh"]):
        assert CHINESE.search(text) and text != english[path], path


def test_one_english_word_is_one_chinese_word(words):
    """The names of inputs and outputs: somebody who knows one node reads the next."""
    chinese: dict[str, set[str]] = {}
    english = dict(leaves(words["en"]))
    for path, text in leaves(words["zh"]):
        if path.endswith("/name") or "/options/" in path:
            chinese.setdefault(english[path], set()).add(text)
    assert not {word: said for word, said in chinese.items() if len(said) > 1 and word != "confidence"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_node_has_a_page_that_explains_each_input(words, language):
    pages = {path.parent.name: path.read_text(encoding="utf-8") for path in (ROOT / "web/docs").glob(f"*/{language}.md")}
    assert set(pages) == set(words[language])
    for name, page in pages.items():
        node = words[language][name]
        assert page.startswith(f"# {node['display_name']}\n"), name
        said = re.findall(r"\*\*([^*]+)\*\*", sections(page))
        missing = [entry["name"] for entry in node["inputs"].values() if entry["name"] not in said]
        assert not missing, (name, missing)
        offered = {option: shown for entry in node["inputs"].values() for option, shown in entry.get("options", {}).items()}
        missing = [option for option, shown in offered.items() if f"`{option}`" not in page and shown not in page]
        assert not missing, (name, missing)
        headings = re.findall(r"^## (.+)$", page, re.M)
        assert headings[-1] == {"en": "Common mistakes", "zh": "常见问题"}[language], name
        assert bool(CHINESE.search(page)) == (language == "zh"), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_bold_words_in_a_page_are_names_of_nodes_and_inputs(words, language):
    """Bold words in a page are names: of this page's sockets, of a node, or of another node's input."""
    known = {text for path, text in leaves(words[language]) if path.endswith(("/display_name", "/name"))}
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


def test_every_help_page_shows_one_small_image_and_none_is_unused():
    shown = set()
    for path in (ROOT / "web/docs").glob("*/*.md"):
        pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
        assert len(pictures) == 1, path
        shown.update(ROOT / "web/docs" / picture for picture in pictures)  # the browser resolves them against web/docs
    assert shown == set((ROOT / "web/docs").glob("*/*.jpg"))
    for picture in shown:
        assert Image.open(picture).format == "JPEG" and picture.stat().st_size < 60_000, picture


@pytest.mark.parametrize(("language", "folder"), [("en", "docs"), ("zh", "docs/zh")])
def test_pages_call_nodes_and_sockets_by_their_names(words, language, folder):
    nodes = (ROOT / folder / "comfyui.md").read_text(encoding="utf-8")
    sockets, shown = set(), set()
    for name, node in words[language].items():
        sockets |= {socket["name"] for socket in (*node["inputs"].values(), *node["outputs"].values())}
        if not name.startswith("CodeFormerOld"):
            short = re.split(r" ?[(（]", node["display_name"])[0]
            shown.add(short)
            assert re.search(rf"^\|.*{re.escape(short)}", nodes, re.MULTILINE), name
    problems = (ROOT / folder / "troubleshooting.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", "\n".join(re.findall(r"^\|.*", problems, re.MULTILINE))))
    host = {"R", "Run", "运行"}  # ComfyUI's own key and button
    assert "R" in named and named - host <= sockets | shown
