"""Where ComfyUI is; the tests below skip, with a reason, where there is none."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """The folder of ComfyUI: COMFYUI_PATH, ~/comfy/ComfyUI, or the one whose custom_nodes this repository lies in."""
    chosen = os.environ.get("COMFYUI_PATH")
    places = [Path(chosen)] if chosen else [Path.home() / "comfy" / "ComfyUI", ROOT.parents[1]]
    for place in places:
        if (place / "main.py").is_file() and (place / "comfy_api").is_dir():
            return place
    pytest.skip(f"needs ComfyUI; looked in {', '.join(map(str, places))} (set COMFYUI_PATH)")
