"""Small image files for tests, and which files there are."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Path:
    """A small image of seeded noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path, "PNG" if path.suffix == ".jpg" and mode == "RGBA" else None)
    return path


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
