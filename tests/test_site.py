"""The pages of docs/ as a site: it builds without a warning, and what it quotes is the program's own."""

import ast
import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codeformer_core.options import FixOptions, option_fields
from codeformer_core.training.config_file import settings

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CI builds it."""
    for name in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(name, reason="needs pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stderr
    return folder


def text(page: Path) -> str:
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def test_every_option_is_in_a_table(site):
    page = text(site / "options" / "index.html")
    for option in option_fields(FixOptions()):
        assert option.path[-1] in page
        assert not option.about.command_line or option.flags[-1] in page or option.about.switches[0][0] in page
    assert "Start at 0.5; take more when the likeness matters." in page


def test_every_setting_of_a_training_run_is_in_a_table(site):
    page = text(site / "training" / "index.html")
    for _, name, _, told in settings():
        assert name in page and told.replace("`", "") in html.unescape(page), name


def test_the_reference_has_every_function_and_what_it_gives(site):
    page = (site / "api" / "index.html").read_text(encoding="utf-8")
    for name in ("fix", "fix_faces", "fix_video", "load", "extras.Extras", "pipeline.Fixed", "faces.AlignedFaces.subset"):
        assert f'id="codeformer_core.{name}"' in page
    assert "one for each face, in the order of the faces" in text(site / "api" / "index.html")


def test_pages_from_elsewhere_lead_to_pages_of_the_site_and_show_their_images(site):
    start = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="faq/"' in start and 'href="models/"' in start and 'src="fidelity.jpg"' in start
    help_page = site / "nodes" / "CodeFormerFixFaces"
    (image,) = re.findall(r'src="([^"]+/area\.jpg)"', (help_page / "index.html").read_text(encoding="utf-8"))
    assert (help_page / image).resolve().is_file()
    assert (site / "zh" / "nodes" / "CodeFormerFixFaces" / "index.html").is_file()


def test_a_page_without_badges_and_diagrams_loads_nothing_from_other_servers(site):
    page = (site / "faq" / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|<link [^>]*rel="(?:stylesheet|preconnect)" [^>]*href)="?https?://', page)


def test_what_is_built_is_ignored():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "site/" in ignored  # hatchling packs nothing that git ignores


def literals(path: Path) -> list[str]:
    """The texts in a module; of an f-string what stands between its values."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def messages(page: str) -> list[str]:
    """The first column of the tables of a page on troubleshooting, from the second table on."""
    first = re.findall(r"^\| (`[^|]+`) \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return [message for cell in first for message in re.findall(r"`([^`]+)`", cell) if "No module named" not in cell]


@pytest.mark.parametrize("page", ["docs/troubleshooting.md", "docs/zh/troubleshooting.md"])
def test_the_messages_in_troubleshooting_are_those_of_the_program(page):
    """What varies in a message is an ellipsis."""
    modules = [path for folder in ("codeformer_core", "nodes") for path in (ROOT / folder).rglob("*.py")]
    said = [words for path in modules for words in literals(path)]
    said.append((ROOT / "web/js/words.js").read_text(encoding="utf-8"))
    assert len(messages(page)) > 30 and messages(page) == messages("docs/troubleshooting.md")
    for message in messages(page):
        for piece in message.split("…"):
            assert any(piece.strip() in words for words in said), message
