"""Restore faces in pictures with CodeFormer: detect, align, restore, paste.

Images are `(B, 3, H, W)` float tensors, RGB, in [0, 1]. Points are `(x, y)` in pixels with pixel centres at integers.
Boxes are `(x0, y0, x1, y1)`. Left and right are the viewer's. A network converts to its own range, order and size inside
itself. Alpha travels beside the picture and is given back untouched.

Importing this package loads nothing but itself; every name below is imported when it is first used.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "AlignedFaces": "faces",
    "DetectionOptions": "options",
    "Face": "faces",
    "FixOptions": "options",
    "Steadiness": "options",
    "detect": "pipeline",
    "fix": "api",
    "fix_aligned": "pipeline",
    "fix_faces": "pipeline",
    "fix_frames": "video.pipeline",
    "fix_stream": "video.pipeline",
    "fix_video": "video.pipeline",
    "load": "api",
    "restore": "restoration",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """The public names, imported on first use so that `codeformer --help` does not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
