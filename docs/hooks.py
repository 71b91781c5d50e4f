"""What mkdocs does beside rendering docs/: pages from elsewhere in the project, links between them, tables from the code."""

import dataclasses
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from codeformer_core.options import FixOptions, option_fields  # noqa: E402 - needs the path; standard library only

#: Pages that lie outside docs/: their place in the site -> their place in the project.
PAGES = {
    "index.md": "README.md",
    "zh/index.md": "README.zh-CN.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "models.md": "weights/README.md",
    "starter.md": "weights/STARTER.md",
}
for _page in sorted((ROOT / "web/docs").glob("*/??.md")):
    _folder = "nodes" if _page.stem == "en" else f"{_page.stem}/nodes"
    PAGES[f"{_folder}/{_page.parent.name}.md"] = _page.relative_to(ROOT).as_posix()

#: Their place in the project -> in the site.
PLACES = {source: place for place, source in PAGES.items()}

#: A link or an image, outside of code.
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder in the place of the folder's name in the navigation."""
    config.nav = _expanded(config.nav)
    return config


def _expanded(nav: Any) -> Any:
    if isinstance(nav, list):
        return [_expanded(entry) for entry in nav]
    if isinstance(nav, dict):
        return {title: _expanded(entry) for title, entry in nav.items()}
    return [place for place in PAGES if place.startswith(nav)] if nav.endswith("/") else nav


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere, and the images that pages show."""
    for place, source in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    for image in [*(ROOT / "web/docs").glob("*/*.jpg"), *(ROOT / "workflows").glob("*.jpg")]:
        source = image.relative_to(ROOT).as_posix()
        files.append(File.generated(config, source, abs_src_path=str(image)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with links as the site needs them, and with tables from the code."""
    place = page.file.src_uri
    source = PAGES.get(place, f"docs/{place}")
    folder = "web/docs" if source.startswith("web/docs/") else posixpath.dirname(source)

    def relinked(found: re.Match[str]) -> str:
        target, heading = found[1], found[2] or ""
        if target.startswith(("http:", "https:", "mailto:")):
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        there = PLACES.get(path, path.removeprefix("docs/") if path.startswith("docs/") else path)
        if files.get_file_from_path(there):
            return posixpath.relpath(there, posixpath.dirname(place) or ".") + heading
        return f"{config.repo_url}/blob/main/{path}{heading}"

    markdown = LINK.sub(relinked, markdown)
    for marker, tables in (("<!-- options -->", options_tables), ("<!-- settings -->", settings_tables)):
        if marker in markdown:
            markdown = markdown.replace(marker, tables())
    return markdown


#: The headings of the tables of options, by the field of `FixOptions` that holds them.
HEADINGS = {
    "": "Restoring and pasting",
    "selection": "Which faces: `Selection`, as `selection`",
    "detection": "Finding faces: `DetectionOptions`, as `detection`",
    "steadiness": "Videos: `Steadiness`, as `steadiness`",
}


def options_tables() -> str:
    """Every option of a fix, under the dataclass that has it: in Python, on the command line, its default and its help."""
    lines = []
    for group, heading in HEADINGS.items():
        lines += [f"## {heading}", "", "| Python | command line | default | |", "|---|---|---|---|"]
        for one in option_fields(FixOptions()):
            if one.path[:-1] == tuple(filter(None, [group])):
                flags = [flag for flag, *_ in one.about.switches] or one.flags
                words = ", ".join(f"`{flag}`" for flag in flags) if one.about.command_line else ""
                lines.append(f"| `{one.path[-1]}` | {words} | `{one.default}` | {one.about.help} |")
        lines.append("")
    return "\n".join(lines)


def settings_tables() -> str:
    """Every setting of a training run, table by table: its default and what it is."""
    from codeformer_core.training.config_file import settings  # imports torch

    lines: list[str] = []
    before = None
    for table, name, default, told in settings():
        if table != before:
            lines += ["", f"### `[{table}]`" if table else "### Outside of tables", "", "| | default | |", "|---|---|---|"]
            before = table
        shown = "" if default is dataclasses.MISSING else f"`{default}`"
        lines.append(f"| `{name}` | {shown} | {told} |")
    return "\n".join(lines)
