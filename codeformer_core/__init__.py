"""Restore faces in images with CodeFormer: detect, align, restore, paste.

Images are `(B, 3, H, W)` float tensors, RGB, in [0, 1]. Points are `(x, y)` in pixels with pixel centres at integers.
Boxes are `(x0, y0, x1, y1)`. Left and right are the viewer's. A network converts to its own range, order and size inside
itself. Alpha travels beside the image and is given back untouched.

Importing this package loads nothing but itself; every name below is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import fix, load
    from .extras import Extras
    from .faces import AlignedFaces, Face
    from .options import DetectionOptions, FixOptions, Selection, Steadiness
    from .pipeline import Fixed, detect, fix_aligned, fix_faces
    from .restoration import MixedRestorer, restore
    from .video.pipeline import fix_frames, fix_stream, fix_video

    __version__: str
else:
    _MODULES = {
        "AlignedFaces": "faces",
        "DetectionOptions": "options",
        "Extras": "extras",
        "Face": "faces",
        "FixOptions": "options",
        "Fixed": "pipeline",
        "MixedRestorer": "restoration",
        "Selection": "options",
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

    def __getattr__(name: str) -> Any:
        """The public names, imported on first use so that `codeformer --help` does not wait for torch."""
        if name == "__version__":
            return _version()
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_MODULES[name]}", __name__), name)

    def _version() -> str:
        """Of the installed package, else of the checkout that this is (ComfyUI installs nothing)."""
        from importlib.metadata import PackageNotFoundError, version
        from pathlib import Path
        from re import MULTILINE, search

        try:
            return version("codeformer-suite")
        except PackageNotFoundError:
            project = Path(__file__).parent.parent / "pyproject.toml"
            found = search(r'^version = "(.+)"$', project.read_text("utf-8"), MULTILINE) if project.is_file() else None
            return found[1] if found else "0+unknown"

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, "__version__"})


__all__ = [
    "AlignedFaces",
    "DetectionOptions",
    "Extras",
    "Face",
    "FixOptions",
    "Fixed",
    "MixedRestorer",
    "Selection",
    "Steadiness",
    "detect",
    "fix",
    "fix_aligned",
    "fix_faces",
    "fix_frames",
    "fix_stream",
    "fix_video",
    "load",
    "restore",
]
