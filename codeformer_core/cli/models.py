"""`codeformer models`, and how the other commands find and fetch their model files."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from .. import checkpoints
from ..checkpoints import ModelFile
from .arguments import Arguments
from .values import did_you_mean


def run(arguments: Arguments) -> int:
    """The exit status: 0 when every file that was asked for is here and the catalogued one."""
    return _ACTIONS[arguments.action](arguments)


def role_of(part: str) -> str:
    """The role of one of the networks of a run, of which some have two of a role."""
    return re.sub("^(face|second)_", "", part)


def suitable(role: str, task: str = "") -> list[str]:
    """The models of the catalogue that have a role, and for those of a task this one: the published one first."""
    return [model.name for model in checkpoints.catalogue() if model.role == role and model.task in (None, task)]


def _one(role: str) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"


def obtain(names: Mapping[str, str], arguments: Arguments, task: str = "") -> list[Path]:
    """The files of the named models, in order; with --download the missing ones are fetched.

    Args:
        names: what each is for, as "detector" or "second_restorer" -> a catalogue name, file name or path.
        task: what restorers are for.

    Raises:
        FileNotFoundError: what is missing, where it was looked for, and the command that fetches it.
        ValueError, OSError: a model of the catalogue is for something else; see `checkpoints.fetch`.
    """
    roles = {name: role_of(part) for part, name in names.items()}
    known = {name: suitable(role, task) for name, role in roles.items()}
    for name, role in roles.items():
        model = checkpoints.lookup(name)
        if model and name == model.name and name not in known[name]:
            what = f"{model.role} for {model.task}" if model.task else model.role
            choices = ", ".join(known[name]) or "the path of a file"
            raise ValueError(f"{name} is {_one(what)}. Needed is {_one(role)}: choose {choices}.")
    missing = {name: checkpoints.lookup(name) for name in roles if not checkpoints.find(name, arguments.weights)}
    if missing and (not arguments.download or None in missing.values()):
        lines = [
            f"{model.file} is not found ({model.size}, {model.licence}). "
            f"Get it with `{model.command}`{'' if model.requirement else ', or let this command do so with --download'}."
            if model
            else f"{name} is {'a folder' if os.path.isdir(name) else 'not found'}.{did_you_mean(name, known[name])} "
            f"Give the path of a file{', or one of these names: ' if known[name] else ''}{', '.join(known[name])}."
            for name, model in missing.items()
        ]
        looked = ", ".join(map(str, checkpoints.places(arguments.weights)))
        raise FileNotFoundError("\n".join([*lines, f"Looked in {looked}, and in the model folders inside."]))
    for model in filter(None, missing.values()):
        fetch(model, arguments)
    return [path for name in names.values() if (path := checkpoints.find(name, arguments.weights))]


def fetch(model: ModelFile, arguments: Arguments) -> None:
    """Fetch a model file, saying beforehand what it is, how large, where from and under which licence.

    It goes into the first folder that the user named, with --weights or in CODEFORMER_WEIGHTS, else into the user's cache.
    """
    if model.requirement:
        tqdm.write(f"{model.name} comes with a Python package: {checkpoints.fetch(model, Path())}")
        return
    chosen = os.path.expanduser(os.environ.get("CODEFORMER_WEIGHTS", "").split(os.pathsep)[0])
    named = [*arguments.weights, *([Path(chosen)] if chosen else [])]
    folder = named[0] if named else checkpoints.cache_folder()
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
        tqdm.write(f"{place}{'' if os.path.isdir(place) else '  (does not exist)'}")
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
