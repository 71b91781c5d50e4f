"""Documents agree with the program: two languages, commands, names, links, requirements, versions."""

import argparse
import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import claims, curves, figures, gpu, sampling, starter, stragglers
from benchmarks.__main__ import ALLOCATORS
from benchmarks.arguments import parser as benchmarks_parser
from codeformer_core import cli

ROOT = Path(__file__).resolve().parent.parent
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
READMES = {ENGLISH: "en", CHINESE: "zh"}
PAGES = sorted({ROOT / name for name in (*READMES, "CONTRIBUTING.md", "CHANGELOG.md", "weights/README.md")})
PAGES += sorted((ROOT / "docs").glob("**/*.md"))

#: Pages in English -> in Chinese.
TRANSLATED = {ENGLISH: CHINESE} | {
    f"docs/{page.name}": f"docs/zh/{page.name}" for page in sorted((ROOT / "docs/zh").glob("*.md"))
}


def read(name: str | Path) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)


def without_comments(block: str) -> str:
    return "\n".join(re.sub(r"(^|\s+)# .*", "", line) for line in block.splitlines() if not line.startswith("#"))


def prose(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)


def tables(text: str) -> list[list[int]]:
    """The number of cells in each row, table by table."""
    found: list[list[int]] = [[]]
    for line in prose(text).splitlines():
        if line.startswith("|"):
            found[-1].append(line.count("|"))
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


#: How a command line begins -> the parser of the rest; the longest first.
PROGRAMS: dict[tuple[str, ...], Callable[[], argparse.ArgumentParser]] = {
    ("codeformer",): cli.build_parser,
    ("python", "-m", "benchmarks", "gpu"): gpu.parser,
    ("python", "-m", "benchmarks", "curves"): curves.parser,
    ("python", "-m", "benchmarks"): partial(benchmarks_parser, tuple(ALLOCATORS)),
    ("python", "-m", "benchmarks.claims"): claims.parser,
    ("python", "-m", "benchmarks.figures"): figures.parser,
    ("python", "-m", "benchmarks.sampling"): sampling.parser,
    ("python", "-m", "benchmarks.starter"): starter.parser,
    ("python", "-m", "benchmarks.stragglers"): stragglers.parser,
}


def commands(text: str) -> list[tuple[tuple[str, ...], list[str]]]:
    """Program and arguments of every command in blocks of code; what is joined with && is taken apart."""
    calls = []
    for line in "\n".join(code_blocks(text)).splitlines():
        for part in without_comments(line).split("&&"):
            command, *arguments = shlex.split(part) or [""]
            calls += call((command.split("/")[-1], *arguments))
    return calls


def call(words: tuple[str, ...]) -> list[tuple[tuple[str, ...], list[str]]]:
    """Program and arguments of a command; nothing where it is not one of ours."""
    program = next((program for program in PROGRAMS if words[: len(program)] == program), None)
    return [(program, list(words[len(program) :]))] if program else []


def options(parser: argparse.ArgumentParser) -> set[str]:
    """What a parser understands, with one dash or two."""
    return {option for action in parser._actions for option in action.option_strings}


def command_options(command: str) -> set[str]:
    """What `codeformer <command>` understands."""
    (subparsers,) = (action for action in cli.build_parser()._actions if isinstance(action.choices, dict))
    return options(subparsers.choices[command])


def test_the_readmes_lead_to_each_other():
    for ours, theirs in ((ENGLISH, CHINESE), (CHINESE, ENGLISH)):
        assert f"]({theirs})" in read(ours).split("\n## ")[0]


@pytest.mark.parametrize("readme", READMES)
def test_a_readme_is_short(readme):
    assert len(read(readme).splitlines()) <= 220


@pytest.mark.parametrize("page", TRANSLATED)
def test_a_page_has_the_same_shape_in_both_languages(page):
    english, chinese = read(page), read(TRANSLATED[page])
    assert re.findall(r"^#+", prose(english), re.MULTILINE) == re.findall(r"^#+", prose(chinese), re.MULTILINE)
    assert tables(english) == tables(chinese)
    assert [without_comments(b) for b in code_blocks(english)] == [without_comments(b) for b in code_blocks(chinese)]


@pytest.mark.parametrize("page", TRANSLATED)
def test_a_page_names_the_same_options_and_files_in_both_languages(page):
    """What stands in backticks is no language; the weights of `w` and what a person types are in both."""

    def named(name: str) -> list[str]:
        return sorted(text for text in re.findall(r"`([^`\n]+)`", prose(read(name))) if text.startswith(("-", "codeformer")))

    def target(name: str, link: str) -> str:
        """A file of the project, the English one of two; a heading of a page in two languages has two names."""
        path, _, heading = link.partition("#")
        if link.startswith("http"):
            return link
        file = (ROOT / name).parent.joinpath(path).resolve() if path else ROOT / name
        there = file.relative_to(ROOT).as_posix()
        english = {chinese: english for english, chinese in TRANSLATED.items()}.get(there, there)
        return re.sub(r"\.(en|zh)\.jpg$", ".jpg", english) + ("" if english in TRANSLATED else f"#{heading}")

    def targets(name: str) -> list[str]:
        return sorted(target(name, link) for link in re.findall(r"\]\(([^)\s]+)\)", prose(read(name))))

    chinese = TRANSLATED[page]
    assert named(page) == named(chinese)
    assert targets(page) == targets(chinese)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page):
    text = re.sub(r"`[^`\n]+`", "", prose(page.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert target.startswith("http") or file.exists(), target
        if heading and not target.startswith("http"):
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings], target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_shown_is_understood(page, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    (tmp_path / "CodeFormer").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("FOLDER").mkdir()
    Path("scratches.png").touch()
    text = page.read_text(encoding="utf-8")
    inline = [] if page.name == "CHANGELOG.md" else re.findall(r"`(python -m benchmarks[^`]*)`", prose(text))
    for program, words in [*commands(text), *(call(tuple(shlex.split(line)))[0] for line in inline)]:
        try:
            PROGRAMS[program]().parse_args(words)
        except SystemExit:
            pytest.fail(f"{' '.join((*program, *words))}: {capsys.readouterr().err}")
    if page.name == "CHANGELOG.md":  # commands of earlier versions
        return
    for command, rest in re.findall(r"`codeformer ([a-z]+)([^`]*)`", prose(text)):
        assert set(re.findall(r"--[\w-]+", rest)) <= command_options(command), rest


@pytest.mark.parametrize("page", [page for pair in TRANSLATED.items() for page in pair])
def test_the_options_in_the_tables_exist(page):
    known = set().union(
        options(PROGRAMS["python", "-m", "benchmarks"]()), *(command_options(command) for command in cli.COMMANDS)
    )
    for row in [line for line in read(page).splitlines() if line.startswith("|")]:
        cells = row.strip("|").split(" | ")
        ours = cells[1] if len(cells) == 4 else cells[-1]  # the first column of four is the official program's
        assert set(re.findall(r"(?<=[` ])--[\w-]+", ours)) <= known, ours


@pytest.mark.parametrize("page", ["docs/comfyui.md", "docs/zh/comfyui.md"])
def test_every_workflow_and_blueprint_is_named(page):
    text = read(page)
    for workflow in (ROOT / "workflows").glob("*.json"):
        assert re.search(rf"^\|[^|]*\b{re.escape(workflow.stem)}\b", text, re.MULTILINE), workflow.stem
    for blueprint in (ROOT / "subgraphs").glob("*.json"):
        assert f"*{blueprint.stem}*" in text


def test_the_changelog_speaks_of_this_version():
    version = re.search(r'^version = "(\d+\.\d+\.\d+)"$', read("pyproject.toml"), re.MULTILINE)
    assert version and f"## [{version[1]}] - " in read("CHANGELOG.md") and f"[{version[1]}]: https" in read("CHANGELOG.md")


def test_comfyui_gets_every_dependency_that_it_does_not_bring():
    dependencies = re.search(r"^dependencies = \[\n(.*?)^\]", read("pyproject.toml"), re.DOTALL | re.MULTILINE)
    assert dependencies
    ours = {re.split(r"[><=;]", line)[0]: line for line in re.findall(r'^ +"([^"]+)",', dependencies[1], re.MULTILINE)}
    listed = {re.split(r"[><=;]", line)[0]: line for line in read("requirements.txt").splitlines() if not line.startswith("#")}
    assert listed.items() <= ours.items()
    assert all(">=" in line and "==" not in line for line in ours.values())
    #: requirements.txt of ComfyUI 0.33.
    brought = {"torch", "torchvision", "numpy", "pillow", "safetensors", "tqdm", "spandrel", "filelock"}
    assert set(ours) - set(listed) <= brought


def test_the_icon_of_the_registry_exists_and_is_small():
    icon = re.search(
        r'^Icon = "https://raw\.githubusercontent\.com/[^/]+/[^/]+/main/(.+)"$', read("pyproject.toml"), re.MULTILINE
    )
    assert icon
    with Image.open(ROOT / icon[1]) as image:
        assert max(image.size) <= 400  # docs.comfy.org/registry/specifications


def test_files_left_out_of_the_archive_exist_and_are_not_needed():
    left_out = [line for line in read(".comfyignore").splitlines() if line and not line.startswith("#")]
    for line in left_out:
        assert line.startswith("/") and (ROOT / line.strip("/")).exists(), line  # "docs/" would take web/docs along
    needed = {
        "__init__.py",
        "nodes",
        "codeformer_core",
        "web",
        "locales",
        "workflows",
        "subgraphs",
        "weights",
        "pyproject.toml",
    }
    assert not needed & {line.strip("/").split("/")[0] for line in left_out}


@pytest.mark.parametrize("script", [".github/workflows/check.yml", ".ci/run"])
def test_ci_runs_the_test_command_of_the_readme(script):
    install, run = "install -e '.[test]'", "python -m pytest"
    text = re.sub("install --quiet", "install", read(script).replace('"', "'"))
    for name in READMES:
        assert install in read(name) and run in read(name)
    assert install in text and run in text
