"""The layout: imports point one way, files are short, and importing costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "codeformer_core"

#: Module or folder -> what of the core it may import. A folder is one row: its files may import one another.
MAY_IMPORT = {
    "options": set(),
    "runtime": set(),
    "faces": {"options"},
    "imaging": {"faces", "runtime"},
    "align": {"faces", "imaging", "runtime"},
    "masks": {"align", "faces", "imaging"},
    "detection": {"align", "faces", "options"},
    "paste": {"faces", "imaging", "masks", "options", "runtime"},
    "restoration": {"align", "faces", "imaging", "masks", "options", "runtime"},
    "fidelity": {"align", "faces", "imaging", "restoration", "runtime"},
    "background": {"align", "faces", "imaging", "masks", "runtime"},
    "certainty": {"faces", "imaging", "paste", "restoration", "runtime"},
    "selection": {"align", "detection", "faces", "imaging", "masks", "options", "paste", "runtime"},
    "networks": {"align", "faces", "imaging", "options", "runtime"},
    "recognition": {"align", "faces", "imaging", "options", "restoration", "runtime"},
    "extras": {"imaging", "masks", "recognition"},
    "checkpoints": {"networks", "runtime"},
    "upscaler": {"checkpoints", "imaging", "networks", "runtime"},
    "image_io": {"runtime"},
    "video_io": {"image_io", "runtime"},
    "pipeline": {
        *("align", "detection", "extras", "faces", "fidelity", "imaging", "masks", "options", "paste", "recognition"),
        "restoration",
        "runtime",
        "selection",
    },
    "video": {
        *("align", "extras", "faces", "fidelity", "image_io", "imaging", "masks", "networks", "options", "paste"),
        *("pipeline", "recognition", "restoration", "runtime", "selection", "video_io"),
    },
    "api": {"checkpoints", "extras", "faces", "imaging", "networks", "options", "pipeline", "restoration", "runtime"},
    "evaluation": {"checkpoints", "faces", "image_io", "imaging", "networks", "options", "recognition", "runtime"},
    "training": {"checkpoints", "evaluation", "image_io", "imaging", "networks", "runtime"},
    "__main__": {"cli"},
    "__init__": {"api", "extras", "faces", "options", "pipeline", "restoration", "video"},  # for type checkers only
}

#: The command line stands on top: it may import everything, and nothing but `__main__` imports it.
TOP = "cli"


def unit(path: Path) -> str:
    """The row of a file: its folder, or its own name where it lies flat."""
    return path.stem if path.parent == CORE else path.relative_to(CORE).parts[0]


def imported(path: Path) -> set[str]:
    """Rows of the core that a file imports, at any depth."""
    package = path.relative_to(CORE).parts[:-1]
    rows: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ())]
            rows |= {module[0]} if module else {alias.name for alias in node.names}
    return rows - {unit(path)}


def test_every_module_has_a_row():
    assert {unit(path) for path in CORE.rglob("*.py")} == {*MAY_IMPORT, TOP}


def test_the_rows_make_no_circle():
    """Import levels: each round takes away the rows that import only what is gone already."""
    left = dict(MAY_IMPORT) | {TOP: set(MAY_IMPORT) - {"__main__"}}
    while free := [row for row, imports in left.items() if not imports & left.keys() - {row}]:
        left = {row: imports for row, imports in left.items() if row not in free}
    assert not left


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_imports_point_one_way(path):
    found = imported(path)
    assert found <= MAY_IMPORT.get(unit(path), found)
    absolute = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import)]
    outside = {alias.name.split(".")[0] for node in absolute for alias in node.names}
    assert not outside & {"comfy", "folder_paths", "nodes", "basicsr", "benchmarks", "codeformer_core"}


@pytest.mark.parametrize("folder", ["codeformer_core", "nodes", "benchmarks"])
def test_files_are_short_enough_to_read_at_once(folder):
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 260} == {}


def test_few_files_lie_flat():
    assert len(list(CORE.glob("*.py"))) <= 12


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_importing_the_core_loads_nothing_heavy():
    assert run("import sys, codeformer_core; print('torch' in sys.modules, 'cv2' in sys.modules)").split() == ["False", "False"]


def test_restoring_does_not_import_the_training():
    code = "import sys, codeformer_core.cli.images, codeformer_core.cli.run; print(any('.training' in m for m in sys.modules))"
    assert run(code).strip() == "False"


def test_the_public_names_are_there():
    assert run("import codeformer_core as c; print(all(getattr(c, name) for name in c.__all__))").strip() == "True"
