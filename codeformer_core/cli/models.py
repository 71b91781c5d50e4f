"""`codeformer models`, and how the other commands find and fetch their model files."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from .. import checkpoints
from ..checkpoints import ModelFile
from .arguments import Arguments
from .values import did_you_mean


def run(arguments: Arguments) -> int:
    """The exit status: 0 when every file that was asked for is here and the catalogued one."""
    return _ACTIONS[arguments.action](arguments)


def obtain(names: Sequence[str], arguments: Arguments) -> list[Path]:
    """The files of the named models, in order; with --download the missing ones are fetched.

    Args:
        names: catalogue names, file names or paths.

    Raises:
        FileNotFoundError: what is missing, where it was looked for, and the command that fetches it.
        ValueError, OSError: see `checkpoints.fetch`.
    """
    missing = {name: checkpoints.lookup(name) for name in names if checkpoints.find(name, arguments.weights) is None}
    if missing and (not arguments.download or None in missing.values()):
        known = [model.name for model in checkpoints.catalogue()]
        lines = [
            f"{model.file} is not found ({model.size}, {model.licence}). "
            f"Get it with `{model.command}`{'' if model.requirement else ', or let this command do so with --download'}."
            if model
            else f"{name} is not found.{did_you_mean(name, known)} "
            f"Give the path of a file, or one of these names: {', '.join(known)}."
            for name, model in missing.items()
        ]
        looked = ", ".join(map(str, checkpoints.places(arguments.weights)))
        raise FileNotFoundError("\n".join([*lines, f"Looked in {looked}, and in the model folders inside."]))
    for model in filter(None, missing.values()):
        fetch(model, arguments)
    return [path for name in names if (path := checkpoints.find(name, arguments.weights))]


def fetch(model: ModelFile, arguments: Arguments) -> None:
    """Fetch a model file, saying beforehand what it is, how large, where from and under which licence.

    It goes into the first folder that the user named, with --weights or in CODEFORMER_WEIGHTS, else into the user's cache.
    """
    if model.requirement:
        tqdm.write(f"{model.name} comes with a Python package: {checkpoints.fetch(model, Path())}")
        return
    chosen = os.environ.get("CODEFORMER_WEIGHTS", "").split(os.pathsep)[0]
    folder = [*arguments.weights, Path(chosen).expanduser() if chosen else checkpoints.cache_folder()][0]
    if not arguments.quiet:
        tqdm.write(f"Fetching {model.file} ({model.size}) from {model.urls[0]} into {folder}")
        tqdm.write(f"  Licence of {model.name}: {model.licence}. {model.notice}")
    hidden = arguments.quiet or None  # None: where there is no terminal
    with tqdm(total=model.bytes, unit="B", unit_scale=True, desc=model.file, disable=hidden, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        path = checkpoints.fetch(model, folder, progress)
    if not arguments.quiet:
        tqdm.write(f"  {path}: ok")


def _list(arguments: Arguments) -> int:
    for model in checkpoints.catalogue():
        path = checkpoints.find(model.name, arguments.weights)
        kind = f"{model.role}, {model.task}" if model.task else model.role
        tqdm.write(f"{model.name}  ({kind})  {model.file}  {model.size}")
        tqdm.write(f"    {path or f'not here; get it with: {model.command}'}")
        tqdm.write(f"    {model.urls[0]}  SHA-256 {model.sha256 or 'not known'}")
        tqdm.write(f"    {model.licence}: {model.notice}")
    return 0


def _where(arguments: Arguments) -> int:
    for place in checkpoints.places(arguments.weights):
        tqdm.write(f"{place}{'' if place.is_dir() else '  (does not exist)'}")
    return 0


def _fetch(arguments: Arguments) -> int:
    status = 0
    for model in arguments.names:
        try:
            fetch(model, arguments)
        except (OSError, ValueError) as error:
            status = 1
            tqdm.write(str(error), file=sys.stderr)
    return status


def _verify(arguments: Arguments) -> int:
    """A file that is absent is wrong only if it was named."""
    status = 0
    for model in arguments.names or checkpoints.catalogue():
        path = checkpoints.find(model.name, arguments.weights)
        try:
            if path is None:
                status = 1 if arguments.names else status
                tqdm.write(f"absent  {model.name}")
            else:
                checkpoints.verify(path, model)
                tqdm.write(f"ok      {model.name}  {path}")
        except ValueError as error:
            status = 1
            tqdm.write(f"wrong   {model.name}  {path}\n        {error}")
    return status


_ACTIONS = {"list": _list, "where": _where, "fetch": _fetch, "verify": _verify}
