"""The catalogue of model files, and where they are found. No model file is opened here."""

import functools
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CORE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ModelFile:
    """One file that the pack can use: an entry of weights/manifest.json.

    Attributes:
        name: short id, such as "codeformer".
        role: "restorer", "detector", "parser", "upscaler", "recogniser" or "background".
        task: "restoration", "colorization" or "inpainting" of a restorer or background network; None for other roles.
        file: file name.
        aliases: other names of the same bytes.
        stand_ins: names of other files that do the same job; used when they are found, never fetched.
        folder: the sub-folder of a models folder where it goes by default.
        folders: other sub-folders where other packs keep it.
        urls: https, the publisher's first.
        bytes: exact size; None when it is not known.
        sha256: 64 hexadecimal digits; None when it is not known: then the file must load as what it should be.
        licence: of the weights.
        notice: one sentence on what the licence means for the user.
        note: what is not known, or easily confused; may be empty.
        requirement: what pip installs it with, such as "facenet-pytorch>=2.5.3,<2.6", or several with spaces between; empty
            for a file that is fetched.
        inside: the folder or file of that Python package which holds it.
        side: of a restorer, the side of the faces that it draws, in pixels.
        about: what whoever chooses it should know; may be empty.
    """

    name: str
    role: str
    task: str | None
    file: str
    aliases: tuple[str, ...]
    stand_ins: tuple[str, ...]
    folder: str
    folders: tuple[str, ...]
    urls: tuple[str, ...]
    bytes: int | None
    sha256: str | None
    licence: str
    notice: str
    note: str
    requirement: str = ""
    inside: str = ""
    side: int = 512
    about: str = ""

    @property
    def command(self) -> str:
        """The command that gets it."""
        packages = " ".join(f'"{one}"' for one in self.requirement.split())
        return f"pip install {packages}" if packages else f"codeformer models fetch {self.name}"

    @property
    def size(self) -> str:
        """The size, such as "376.6 MB"."""
        return f"{self.bytes / 1e6:.1f} MB" if self.bytes is not None else "size not known"

    @property
    def described(self) -> str:
        """Size and hash in words, as far as they are known."""
        size = f"{self.bytes:,} bytes" if self.bytes is not None else "size not known"
        return f"{size}, SHA-256 {self.sha256 or 'not known'}"


@functools.cache
def catalogue() -> tuple[ModelFile, ...]:
    """Every model file of weights/manifest.json, which a wheel carries inside the package."""
    entries = json.loads((_shipped() / "manifest.json").read_text(encoding="utf-8"))["models"]
    frozen: list[dict[str, Any]] = [{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()} for entry in entries]
    return tuple(ModelFile(**entry) for entry in frozen)


def _shipped() -> Path:
    """The folder of what comes with the project: in a checkout weights/, in a wheel the package itself."""
    return _CORE if (_CORE / "manifest.json").is_file() else _CORE.parent / "weights"


def lookup(name: str) -> ModelFile | None:
    """The catalogue entry of a name, file name, alias or stand-in; None for a file that the catalogue does not know."""
    known = (m for m in catalogue() if name in (m.name, m.file, *m.aliases, *m.stand_ins))
    return next(known, None)


def cache_folder() -> Path:
    """The user's folder for downloaded files; it need not exist yet.

    Raises:
        ValueError: the user has no home folder, as in a container where he is only a number.
    """
    variable, fallback = ("LOCALAPPDATA", "~/AppData/Local") if sys.platform == "win32" else ("XDG_CACHE_HOME", "~/.cache")
    try:
        return Path(os.environ.get(variable) or fallback).expanduser() / "codeformer"
    except RuntimeError as error:
        raise ValueError(
            f"There is no home folder to download into. Set {variable} or CODEFORMER_WEIGHTS to a folder of yours."
        ) from error


def places(folders: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Where `find` looks, in order: `folders`, CODEFORMER_WEIGHTS, the project's, facexlib's folder, the user cache."""
    chosen = [Path(os.path.expanduser(p)) for p in os.environ.get("CODEFORMER_WEIGHTS", "").split(os.pathsep) if p]
    try:
        cache = [cache_folder()]
    except ValueError:
        cache = []
    return (*map(Path, folders), *chosen, _shipped(), *_package_folders("facexlib/weights"), *cache)


def _package_folders(path: str) -> list[Path]:
    """Where a folder of a Python package is, if that is installed. It is not imported, which would load torch."""
    package, _, below = path.partition("/")
    spec = importlib.util.find_spec(package)
    return [Path(place) / below for place in spec.submodule_search_locations or ()] if spec else []


def find(model: str, folders: Sequence[Path] = ()) -> Path | None:
    """The path of a model file, or None; of a model that pip installs, the folder of its files. Nothing is read: `verify` and
    `load` do that.

    Args:
        model: a catalogue name ("codeformer"), a file name (or one of its aliases), or the path of an existing file.
        folders: searched first. Like every place, each may hold the file itself or, as ComfyUI's models folder does, one of
            the sub-folders that the catalogue knows.
    """
    known = lookup(model)
    if known and known.inside:
        return next(filter(Path.exists, _package_folders(known.inside)), None)
    if (known is None or model != known.name) and os.path.isfile(os.path.expanduser(model)):
        return Path(model).expanduser()
    if Path(model).name != model:
        return None
    names = [(model,)] if known is None or model in known.stand_ins else [(known.file, *known.aliases), known.stand_ins]
    inside = dict.fromkeys(sub for m in ([known] if known else catalogue()) for sub in (m.folder, *m.folders))
    paths = (place / sub / name for group in names for place in places(folders) for sub in ("", *inside) for name in group)
    return next((path for path in paths if os.path.isfile(path)), None)
