"""Installing the requirements leaves the torch that is installed as it is."""

import importlib.metadata
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from codeformer_core import checkpoints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
FOR_COMFYUI = [line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if line[:1] not in "#"]


def needed(lines: list[str]) -> dict[tuple[str, str], Requirement]:
    """(who asks, whom) -> requirement: of these lines and of every installed package behind them."""
    found: dict[tuple[str, str], Requirement] = {}
    waiting = [("requirements", line) for line in lines]
    while waiting:
        asking, line = waiting.pop()
        requirement = Requirement(line)
        key = asking, canonicalize_name(requirement.name)
        if key in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[key] = requirement
        try:
            behind = importlib.metadata.requires(requirement.name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # facenet-pytorch asks for what ComfyUI has; absent packages are what other tests skip for
        waiting += [(key[1], line) for line in behind]
    return found


@pytest.mark.parametrize("lines", [PROJECT, FOR_COMFYUI], ids=["pyproject.toml", "requirements.txt"])
def test_no_requirement_asks_for_another_torch(lines):
    every = needed(lines)
    assert ("facenet-pytorch", "torchvision") in every
    for (asking, name), requirement in every.items():
        if name in ("torch", "torchvision"):
            installed = importlib.metadata.version(name)
            assert requirement.specifier.contains(installed, prereleases=True), (
                f"{asking} needs {requirement}, {installed} is here"
            )


@pytest.mark.parametrize("lines", [PROJECT, FOR_COMFYUI], ids=["pyproject.toml", "requirements.txt"])
def test_the_facenet_pytorch_that_would_downgrade_torch_is_excluded(lines):
    (line,) = [line for line in lines if line.startswith("facenet-pytorch")]
    versions = Requirement(line).specifier
    assert versions.contains("2.5.3") and not versions.contains("2.6.0")
    assert line == checkpoints.lookup("mtcnn").requirement
