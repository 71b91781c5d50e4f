"""Where the test data is, and the tests' own tiny faces."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden outputs and test pictures that lies beside a developer's checkout."""
    folder = ROOT.parent / "shared"
    if not (folder / "parity").is_dir():
        pytest.skip("needs ../shared (golden outputs and test pictures), which is not part of the project")
    return folder
