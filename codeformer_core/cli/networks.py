"""The networks of one command, on the device that it runs on."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from .. import checkpoints
from ..networks.precision import suited
from ..pipeline import Extras
from ..upscaler import load_upscaler
from .arguments import Arguments
from .context import RunContext
from .inputs import SavedFaces
from .models import obtain

#: The networks of a command that are no face networks.
_UPSCALERS = ("bg_upscaler", "face_upscaler")


def device_of(name: str) -> torch.device:
    """The device that a user means, "auto" included; a ValueError when it cannot be used."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.empty(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch built without CUDA
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"the device {name} cannot be used ({reason}). Leave out --device, or use cpu.") from error


def load_networks(arguments: Arguments, device: torch.device, trained_for: str | None) -> RunContext:
    """The networks that the options of a command need, on a device, with the options as they decide them.

    Args:
        trained_for: the task of the restorer; None for a command without one.

    Raises:
        OSError, ValueError, ImportError: a file is missing or is another network, in sentences.
    """
    options = arguments.options
    wanted = {"restorer": arguments.model or _find_restorer(arguments, trained_for)} if trained_for else {}
    if not arguments.aligned and not arguments.faces_from:
        wanted["detector"] = arguments.detector
    if options.parts or (options.mask == "face" and not arguments.aligned):
        wanted["parser"] = arguments.parser
    wanted |= {part: name for part in _UPSCALERS if (name := getattr(arguments, part))}
    paths = obtain(list(wanted.values()), arguments.weights, arguments.download, arguments.quiet)
    loaded: dict[tuple[Path, str], Any] = {}  # both upscalers may be one
    networks: dict[str, Any] = {}
    for part, path in zip(wanted, paths, strict=True):
        role = "upscaler" if part in _UPSCALERS else part
        if (path, role) not in loaded:
            loaded[path, role] = load_network(path, role, trained_for or "", device, arguments.precision)
        networks[part] = loaded[path, role]
    restorer, upscaler, face_upscaler = (networks.get(part) for part in ("restorer", *_UPSCALERS))
    if arguments.compile:
        _compile(restorer, device)
    enlarging = face_upscaler if arguments.aligned else upscaler
    if enlarging and "options.upscale" not in arguments.typed:
        options = replace(options, upscale=enlarging.scale)
    detector = SavedFaces.read(arguments.faces_from) if arguments.faces_from else networks.get("detector")
    extras = Extras(parser=networks.get("parser"), upscaler=upscaler, face_upscaler=face_upscaler)
    return RunContext(arguments, device, options, restorer, detector, extras)


def _compile(restorer: Any, device: torch.device) -> None:
    """Have a restorer compiled, once it is known that something can be compiled here."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.zeros(8, device=device))
        restorer.compiled()
    except (RuntimeError, ImportError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"PyTorch cannot compile this network here ({reason}). Leave out --compile.") from error


def _for_task(task: str) -> list[str]:
    """The names of the networks for a task: the published one, then what comes with the project."""
    return [model.name for model in checkpoints.catalogue() if model.task == task]


def _find_restorer(arguments: Arguments, task: str) -> str:
    """The name of the published network for a task; of the one that comes with the project for as long as that is not here."""
    names = _for_task(task)
    published, here = names[0], next((name for name in names if checkpoints.find(name, arguments.weights)), names[0])
    if arguments.download or here == published:
        return published
    tqdm.write(
        "Starter model, small and limited: it draws 128 x 128 pixels a face, so larger faces get softer. "
        f"`codeformer models fetch {published}` for full quality.",
        file=sys.stderr,
    )
    return here


def load_network(path: Path, role: str, task: str, device: torch.device, precision: str = "exact") -> Any:
    """The network in a file, which must have this role and, as a restorer, have been trained for this task."""
    if role == "upscaler":
        return load_upscaler(path).to(device)
    network = checkpoints.load(path, precision=suited(precision, device))
    found = getattr(network, "task", None)
    if network.role != role or found not in (None, task):
        kind = network.role if found is None else f"{network.role} for {found}"
        needed = f"a {role}: see `codeformer models list`"
        if role == "restorer":
            needed = f"a restorer for {task}: choose {_for_task(task)[0]}"
        raise ValueError(f"{path.name} is a {kind}. Needed is {needed}.")
    return network.to(device) if isinstance(network, torch.nn.Module) else network  # YuNet runs on the CPU only
