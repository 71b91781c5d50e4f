"""Imports point one way, and importing costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "codeformer_core"

#: module or folder -> the modules of the core that it may import; what is absent may import every one but the command line.
MAY_IMPORT = {
    "faces": set(),
    "memory": set(),
    "align": {"colour", "faces", "memory", "parts"},
    "edges": set(),
    "parts": {"faces"},
    "masks": {"edges", "faces", "parts"},
    "limits": {"align", "edges", "faces", "parts"},
    "paste": {"ahead", "align", "colour", "edges", "faces", "masks", "memory", "parts"},
    "colour": {"memory", "parts"},
    "progress": set(),
    "upscale": {"memory", "progress"},
    "upscalers": {"checkpoints", "progress", "upscale"},
    "steps": {"align", "colour", "faces", "limits", "parts", "progress"},
    "pipeline": {"align", "colour", "faces", "masks", "parts", "paste", "progress", "selection", "sharpness", "steps"},
    "quick": {"checkpoints", "faces", "networks", "parts", "pipeline", "steps"},
    "fidelity": {"align", "colour", "faces", "steps"},
    "certainty": {"progress", "faces", "paste", "steps"},
    "edited": {"faces", "parts"},
    "holes": {"edges"},
    "selection": {"duplicates", "faces", "orders"},
    "duplicates": {"faces"},
    "orders": {"faces"},
    "report": {"faces"},
    "sharpness": {"faces"},
    "sources": {"faces"},
    "locate": {"align", "faces", "sources"},
    "saved": {"faces"},
    "search": {"duplicates", "faces"},
    "preview": {"faces"},
    "choosing": {"faces", "orders", "paste"},
    "recipe": {"faces", "parts", "selection", "tracking"},
    "sights": {
        "align",
        "colour",
        "cuts",
        "encoded",
        "faces",
        "memory",
        "pipeline",
        "recipe",
        "steady",
        "steps",
        "tracking",
    },
    "stream": {"align", "faces", "masks", "memory", "paste", "pipeline", "progress", "recipe", "sights"},
    "video": {"ahead", "faces", "progress", "recipe", "sights", "stream", "videos"},
    "encoded": set(),
    "smoothing": {"align", "faces"},
    "tracking": {"faces", "smoothing"},
    "cuts": set(),
    "steady": {"encoded"},
    "networks": {"encoded", "faces"},
    "pictures": {"whole"},
    "whole": set(),
    "ahead": set(),
    "videos": {"whole"},
    "checkpoints": {"networks", "progress"},
    "bench": {"align", "checkpoints", "faces", "networks", "paste", "pipeline", "video", "videos"},
    "training": {"checkpoints", "networks"},
    "__main__": {"cli"},
}


def imported(path: Path) -> set[str]:
    """Modules of the core (first part of their name) that a file imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level == 1 and path.parent != CORE:
                continue  # a sibling in the same room
            names |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_imports_point_one_way(path):
    found = imported(path)
    room = path.stem if path.parent == CORE else path.relative_to(CORE).parts[0]
    assert found <= MAY_IMPORT.get(room, found - {"cli"})
    absolute = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import)]
    outside = {alias.name.split(".")[0] for node in absolute for alias in node.names}
    assert not outside & {"comfy", "folder_paths", "nodes", "basicsr", "codeformer_core"}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_importing_the_core_loads_nothing_heavy():
    assert run("import sys, codeformer_core; print('torch' in sys.modules, 'cv2' in sys.modules)").split() == ["False", "False"]


def test_restoring_does_not_import_the_training():
    code = "import sys, codeformer_core.cli.fix, codeformer_core.cli.work; print(any('.training' in m for m in sys.modules))"
    assert run(code).strip() == "False"


def test_the_public_names_are_there():
    assert run("import codeformer_core as c; print(all(getattr(c, name) for name in c.__all__))").strip() == "True"
