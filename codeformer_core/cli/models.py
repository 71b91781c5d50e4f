"""`codeformer models`, and how the other commands come by their model files."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from .. import checkpoints
from ..checkpoints import ModelFile


def obtain(names: Sequence[str], folders: Sequence[Path], download: bool, quiet: bool = False) -> list[Path]:
    """The files of the named models, in order.

    Args:
        names: catalogue names, file names or paths.
        folders: looked in first; a download goes into the first of them.
        download: fetch what is missing, which is announced.
        quiet: no progress bar.

    Raises:
        FileNotFoundError: what is missing, where it was looked for, and the command that fetches it.
        ValueError, OSError: see `checkpoints.fetch`.
    """
    found = {name: checkpoints.find(name, folders) for name in names}
    missing = [name for name, path in found.items() if path is None]
    unknown = [name for name in missing if checkpoints.lookup(name) is None]
    if unknown or (missing and not download):
        looked = ", ".join(map(str, checkpoints.places(folders)))
        raise FileNotFoundError("\n".join([*map(_absence, missing), f"Looked in {looked}, and in the model folders inside."]))
    for name in missing:
        model = checkpoints.lookup(name)
        assert model is not None  # the unknown ones have raised
        found[name] = fetch(model, destination(folders), quiet)
    return [path for name in names if (path := found[name]) is not None]


def _absence(name: str) -> str:
    model = checkpoints.lookup(name)
    if model is None:
        known = ", ".join(model.name for model in checkpoints.catalogue())
        return f"{name} is not found. Give the path of a file, or one of these names: {known}."
    return (
        f"{model.file} is not found ({model.size}, {model.licence}). "
        f"Fetch it with `codeformer models fetch {model.name}`, or let this command do so with --download."
    )


def destination(folders: Sequence[Path]) -> Path:
    """Where a fetched file goes: the first folder that the user named, here or in CODEFORMER_WEIGHTS, else the user's cache."""
    chosen = os.environ.get("CODEFORMER_WEIGHTS", "").split(os.pathsep)[0]
    return folders[0] if folders else Path(chosen).expanduser() if chosen else checkpoints.cache_folder()


def fetch(model: ModelFile, folder: Path, quiet: bool = False) -> Path:
    """Fetch a model file, saying beforehand what it is, how large, where from and under which licence."""
    tqdm.write(f"Fetching {model.file} ({model.size}) from {model.urls[0]} into {folder}")
    tqdm.write(f"  Licence of {model.name}: {model.licence}. {model.notice}")
    with tqdm(total=model.bytes, unit="B", unit_scale=True, desc=model.file, disable=quiet or None, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        path = checkpoints.fetch(model, folder, progress)
    tqdm.write(f"  {path}: ok")
    return path


def list_all(models: Sequence[ModelFile], folders: Sequence[Path], quiet: bool) -> int:
    """`models list`: every file of the catalogue, whether it is here, its size, address, hash and licence."""
    for model in checkpoints.catalogue():
        path = checkpoints.find(model.name, folders)
        kind = f"{model.role}, {model.task}" if model.task else model.role
        tqdm.write(f"{model.name}  ({kind})  {model.file}  {model.size}")
        tqdm.write(f"    {path or f'not here; fetch it with: codeformer models fetch {model.name}'}")
        tqdm.write(f"    {model.urls[0]}  SHA-256 {model.sha256 or 'not known'}")
        tqdm.write(f"    {model.licence}: {model.notice}")
    return 0


def where(models: Sequence[ModelFile], folders: Sequence[Path], quiet: bool) -> int:
    """`models where`: the folders that are looked in, in their order."""
    for place in checkpoints.places(folders):
        tqdm.write(f"{place}{'' if place.is_dir() else '  (does not exist)'}")
    return 0


def fetch_all(models: Sequence[ModelFile], folders: Sequence[Path], quiet: bool) -> int:
    """`models fetch`: 0 when every file is here in the end."""
    failed = 0
    for model in models:
        try:
            fetch(model, destination(folders), quiet)
        except (OSError, ValueError) as error:
            failed += 1
            tqdm.write(str(error), file=sys.stderr)
    return 1 if failed else 0


def verify(models: Sequence[ModelFile], folders: Sequence[Path], quiet: bool) -> int:
    """`models verify`: 0 when every file that is here, and every one that was named, is the catalogued one."""
    wrong = 0
    for model in models or checkpoints.catalogue():
        path = checkpoints.find(model.name, folders)
        if path is None:
            wrong += bool(models)
            tqdm.write(f"absent  {model.name}")
            continue
        try:
            checkpoints.verify(path, model)
        except ValueError as error:
            wrong += 1
            tqdm.write(f"wrong   {model.name}  {path}\n        {error}")
        else:
            tqdm.write(f"ok      {model.name}  {path}")
    return 1 if wrong else 0


#: Action of `codeformer models` -> what does it: (models, folders, quiet) -> exit status.
ACTIONS = {"list": list_all, "where": where, "fetch": fetch_all, "verify": verify}
