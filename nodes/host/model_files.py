"""The host's folders: model files and temporary files."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.ops
import folder_paths

from ...codeformer_core import checkpoints
from . import language, progress
from .execution import verdict

#: The host's name for the folder that holds the files of a role, and the directory under models/ that it means by default.
FOLDERS = {
    "restorer": ("facerestore_models", "facerestore_models"),
    "detector": ("facedetection_models", "facedetection"),
    "parser": ("facedetection_models", "facedetection"),
    "background": ("inpaint", "inpaint"),
}

SUFFIXES = folder_paths.supported_pt_extensions | {".onnx"}


def _folders(role: str) -> list[str]:
    """The folders whose files a loader lists: as the user configured them, and ours. New files go to the first.

    Looked up every time, because some packs overwrite the host's table when they are imported after this one.
    """
    key, directory = FOLDERS[role]
    table = folder_paths.folder_names_and_paths
    is_new = key not in table
    folder_paths.add_model_folder_path(key, os.path.join(folder_paths.models_dir, directory))
    paths, suffixes = table[key]
    if is_new or suffixes:  # an empty set lets every file through: that is the choice of whoever made it
        table[key] = (paths, {*suffixes, *SUFFIXES})
    return list(paths)


def _places(model: checkpoints.ModelFile) -> list[Path]:
    """Folders that may hold a published file: ours, those of other packs, and those that the user configured."""
    keys = [key for key in (*model.folders, "detection") if key in folder_paths.folder_names_and_paths]
    configured = [path for key in keys for path in folder_paths.get_folder_paths(key)]
    return [Path(path) for path in (*_folders(model.role), *configured, folder_paths.models_dir)]


def _shown(folder: str) -> str:
    """A folder as every visitor may see it: from the host's own folder on, or its name alone where it lies elsewhere."""
    path, base = Path(folder), Path(folder_paths.base_path)
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name


def _on_disk(role: str) -> dict[str, Path]:
    """Files that may hold a network of this role, by the name that a combo shows."""
    found: dict[str, Path] = {}
    for folder in _folders(role):
        names, _ = folder_paths.recursive_search(folder, excluded_dir_names=[".git"])
        for name in folder_paths.filter_files_extensions(names, SUFFIXES):
            model = checkpoints.lookup(os.path.basename(name))
            if model is None or model.role == role:
                found.setdefault(name, Path(folder, name))
    return found


def _published(role: str) -> dict[str, checkpoints.ModelFile]:
    """The models of this role that everybody can have, by name: first those that pip has installed with the pack."""
    models = (model for model in checkpoints.catalogue() if model.role == role)
    return {model.file: model for model in sorted(models, key=lambda model: not model.requirement)}


def model_names(role: str) -> list[str]:
    """What a loader offers: the published files first, on disk or not, then every other file on disk."""
    return list(dict.fromkeys([*_published(role), *sorted(_on_disk(role))]))


def other_names(role: str) -> dict[str, str]:
    """Names that workflows of other packs have for published files -> what a loader offers. The host marks a node in red whose
    file its list does not have.
    """
    offered = model_names(role)
    published = _published(role).values()
    return {name: model.file for model in published for name in (*model.aliases, *model.stand_ins) if name not in offered}


def missing(role: str) -> dict[str, dict[str, Any]]:
    """The published files of this role that would have to be fetched, by name: how large they are and under which licence."""
    folder, here = _shown(_folders(role)[0]), _on_disk(role)
    return {
        name: {
            "bytes": model.bytes,
            "licence": model.licence,
            "notice": language.in_every_language(model.notice),
            "folder": folder,
        }
        for name, model in _published(role).items()
        if name not in here and not model.requirement and checkpoints.find(model.name, _places(model)) is None
    }


def _locate(role: str, name: str) -> Path | checkpoints.ModelFile:
    """The file on disk, or the published one to fetch. `name` is not trusted: it is looked up, never joined to a path."""
    here = _on_disk(role)
    alike = {_plain(file): path for file, path in here.items()}
    if path := here.get(name) or alike.get(_plain(name)):
        return path
    model = next((model for model in checkpoints.catalogue() if model.role == role and _is_called(model, name)), None)
    if model is None:
        raise FileNotFoundError(
            f"{name!r} is not on disk and not a published file. Put it into {_shown(_folders(role)[0])}, or choose one of "
            f"these: {', '.join(model_names(role))}."
        )
    return checkpoints.find(model.name, _places(model)) or model


def _available(role: str) -> list[str]:
    """The names whose files are on disk, those that come with the pack among them: what runs without a download."""
    return [name for name in model_names(role) if isinstance(_locate(role, name), Path)]


def _plain(name: str) -> str:
    """A name without what systems and packs write differently: case, separators, dashes."""
    return name.replace("\\", "/").replace("_", "-").lower()


def _is_called(model: checkpoints.ModelFile, name: str) -> bool:
    """Whether a name, in whatever sub-folder, is one of those under which people have a published file."""
    names = (model.name, model.file, *model.aliases, *model.stand_ins)
    return _plain(name).rpartition("/")[2] in map(_plain, names)


def accept_name(role: str, name: str) -> bool | str:
    """Whether a file of this name can be loaded or fetched, if it is in the list or not; else the sentence that says so."""
    return verdict(_locate, role, name)


#: Files that this process has fetched, and their status then: to the host such a file has not changed. One per published file.
_FETCHED: dict[Path, str] = {}


def fingerprint(role: str, name: str) -> str:
    """Changes when the file behind a name changes, so that the host loads it again; not when the file arrives by fetching."""
    path = _locate(role, name)
    if not isinstance(path, Path):
        return "to be fetched"
    current = _status(path)
    return "to be fetched" if _FETCHED.get(path) == current else current


def _status(path: Path) -> str:
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def read(role: str, name: str, precision: str = "exact", show: Callable[[str], None] = progress.log_and_show) -> Any:
    """The network of a file that the user chose; a published file that is not on disk is fetched.

    Args:
        precision: see the core's `networks.load`.
        show: called with what is fetched.

    Raises:
        ValueError, OSError: a sentence for the user: no such file, not a network of this role, or it cannot be fetched.
    """
    path = _locate(role, name)
    if not isinstance(path, Path):
        folder = _folders(role)[0]
        if not path.requirement:
            show(f"Fetching {path.file} ({path.size}) to {_shown(folder)}. {path.notice}")
        try:
            path = checkpoints.fetch(path, Path(folder), progress.progress())
        except ConnectionError as error:
            here = _available(role)
            instead = [f"Already on this computer: {', '.join(here)}."] if here else []
            raise ConnectionError("\n".join([str(error), *instead])) from error
        _FETCHED[path] = _status(path)
        show(f"{name} is downloaded and checked.")
    network = checkpoints.load(path, comfy.ops.manual_cast, precision)
    if network.role != role:
        raise ValueError(f"{name} is a face {network.role}; a face {role} is needed here. Choose another file in this node.")
    return network


def temporary_path(suffix: str) -> Path:
    """A new path in the host's temporary folder, which the host empties when it ends; callers remove the file sooner."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"codeformer-{uuid.uuid4().hex}{suffix}"
