"""The command line as a process of its own: how its threads wait, and streams that are closed or full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn import draw

ROOT = Path(__file__).resolve().parents[2]

#: Both ways to start the program: `python -m codeformer_core`, and what pip writes for the console script.
STARTS = {
    "module": ["-m", "codeformer_core"],
    "console script": ["-c", "import sys; from codeformer_core.cli import main; sys.exit(main())"],
}


def told_by_openmp(tmp_path: Path, start: list[str], settings: dict[str, str]) -> str:
    """What OpenMP says about its settings when the command line has it loaded."""
    unset = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    argv = [sys.executable, *start, "fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out"), "--device", "none"]
    environment = {**unset, "OMP_DISPLAY_ENV": "VERBOSE", **settings}
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120).stderr


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_threads_of_the_command_line_sleep_soon(tmp_path: Path, start: list[str]) -> None:
    said = told_by_openmp(tmp_path, start, {})
    if "GOMP_SPINCOUNT" not in said:
        pytest.skip("needs a PyTorch with GNU OpenMP")
    assert "GOMP_SPINCOUNT = '1000'" in said


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"GOMP_SPINCOUNT": "7"}, "'7'"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "'0'"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "'3")],
)
def test_what_the_user_has_set_for_threads_stays(tmp_path: Path, settings: dict[str, str], expected: str) -> None:
    said = told_by_openmp(tmp_path, STARTS["module"], settings)
    if "GOMP_SPINCOUNT" not in said:
        pytest.skip("needs a PyTorch with GNU OpenMP")
    assert f"GOMP_SPINCOUNT = {expected}" in said


def test_another_program_that_calls_the_command_line_keeps_its_threads() -> None:
    code = "import os; from codeformer_core.cli import main; main(['models', 'where']); print('GOMP_SPINCOUNT' in os.environ)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
