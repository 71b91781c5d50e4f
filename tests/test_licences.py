"""What the package says of its licences is true of what it carries."""

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STARTER = "weights/codeformer_starter.safetensors"


def test_the_expression_names_the_licence_of_the_code_and_of_the_model_that_the_wheel_carries():
    assert STARTER in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert PYPROJECT["project"]["license"] == "MIT AND CC-BY-NC-SA-4.0"
    assert not [name for name in PYPROJECT["project"]["classifiers"] if name.startswith("License ::")]  # PEP 639 forbids both


def test_the_licence_files_are_packed_and_name_the_starter_model():
    assert PYPROJECT["project"]["license-files"] == ["LICENSE", "weights/STARTER.md"]
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in PYPROJECT["project"]["license-files"]]
    assert texts[0].startswith("MIT License") and STARTER in texts[0]
    assert all("CC BY-NC-SA 4.0" in text for text in texts)
