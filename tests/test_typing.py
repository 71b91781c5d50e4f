"""Types reach users: checkers accept a right script and report a wrong argument name and a wrong type in it."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SCRIPT = """
from PIL import Image
from codeformer_core import FixOptions, Fixed, Selection, Steadiness, __version__, fix, fix_faces, load
import torch

detector, restorer = load("retinaface-resnet50"), load("codeformer")
options = FixOptions(fidelity=0.7, selection=Selection(choice="largest"), steadiness=Steadiness())
photo: Image.Image = fix(Image.open("photo.jpg"), detector, restorer, options)
fixed: Fixed = fix_faces(torch.zeros(1, 3, 64, 64), detector, restorer, options)
mask: torch.Tensor = fixed.mask
print(__version__.upper(), [face.score + 1.0 for face in fixed.aligned.faces])
"""

#: Wrong line -> the word of it that a checker's report has.
WRONG = {
    'FixOptions(fidelty=0.7)': "fidelty",
    'FixOptions(fidelity="high")': "fidelity",
    "fix_faces(3, detector, restorer)": "fix_faces",
    "fix_faces(torch.zeros(1), detector, restorer, batch=2)": "batch",
    "fix_faces(torch.zeros(1), restorer, detector)": "Detector",
    "from codeformer_core import fix_face": "fix_face",
}  # fmt: skip


def mypy(script: Path) -> str:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("needs mypy: pip install mypy")
    config = script.with_name("mypy.ini")
    config.write_text(f"[mypy]\nmypy_path = {ROOT.as_posix()}\ncache_dir = {(script.parent / 'cache').as_posix()}\n"
                      "follow_imports = silent\nignore_missing_imports = True\n")  # fmt: skip
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), script.name]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True).stdout


def pyright(script: Path) -> str:
    command = shutil.which("pyright", path=str(Path(sys.executable).parent)) or shutil.which("pyright")
    if command is None:
        pytest.skip("needs pyright: pip install pyright")
    (script.parent / "pyrightconfig.json").write_text(
        f'{{"extraPaths": ["{ROOT.as_posix()}"], "pythonVersion": "{sys.version_info.major}.{sys.version_info.minor}"}}'
    )
    done = subprocess.run(
        [command, "--pythonpath", sys.executable, script.name], cwd=script.parent, capture_output=True, text=True
    )
    if "error" not in done.stdout and done.returncode:
        pytest.skip("pyright cannot run: it downloads Node.js at its first use")
    return done.stdout


@pytest.fixture(scope="module", params=[mypy, pyright], ids=lambda checker: checker.__name__)
def report(request, tmp_path_factory) -> list[str]:
    """The lines of a checker about the right script with every wrong line behind it."""
    script = tmp_path_factory.mktemp("script") / "script.py"
    script.write_text(SCRIPT + "\n".join(WRONG) + "\n")
    return [line for line in request.param(script).splitlines() if "script.py:" in line and "error" in line]


def line_of(text: str) -> int:
    found = re.search(r"script\.py:(\d+)", text)
    assert found
    return int(found[1])


def test_the_right_script_is_accepted(report):
    assert [line for line in report if line_of(line) <= SCRIPT.count("\n")] == []


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_line_is_reported(report, wrong):
    number = SCRIPT.count("\n") + 1 + list(WRONG).index(wrong)
    assert [line for line in report if line_of(line) == number and WRONG[wrong] in line]
