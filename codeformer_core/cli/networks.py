"""The networks of one command, on the device that it runs on."""

import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from .. import checkpoints
from ..detection.external import scale_faces
from ..detection.faces_json import from_json
from ..extras import Extras
from ..faces import Face
from ..networks.openvino_engine import by_openvino
from ..networks.precision import suited
from ..options import DetectionOptions
from ..recognition import People, is_installed
from ..restoration import MixedRestorer
from ..runtime.addresses import read_bytes
from ..upscaler import load_upscaler
from .arguments import Arguments
from .commands import COMMANDS
from .context import RunContext
from .models import obtain, role_of, suitable
from .references import references


def device_of(name: str) -> torch.device:
    """The device that a user means, "auto" included; a ValueError when it cannot be used."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.empty(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch built without CUDA
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ValueError(f"the device {name} cannot be used ({reason}). Leave out --device, or use cpu.") from error


class SavedFaces(NamedTuple):
    """A detector that gives the faces of a file, detected before in an image of (H, W)."""

    faces: list[Face]
    found_in: tuple[int, int]

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """The faces, in images (B, 3, H, W) of the same aspect ratio."""
        return scale_faces(self.faces, self.found_in, images.shape[0], (images.shape[2], images.shape[3]))


def load_networks(arguments: Arguments, device: torch.device) -> RunContext:
    """The networks that the options of a command need, on a device, with the options as they decide them.

    Raises:
        OSError, ValueError, ImportError: a file is missing or is another network, in sentences.
    """
    options, task = arguments.options, COMMANDS[arguments.command].task
    wanted = {
        "restorer": task and (arguments.model or find_restorer(arguments, task)),
        "second_restorer": arguments.second_model,
        "detector": (arguments.detector or find_detector(arguments)) if _searches(arguments) else None,
        "recogniser": "dlib-recogniser" if _recognises(arguments) else None,
        "parser": arguments.parser if options.parts or (options.mask == "face" and not arguments.aligned) else None,
        "occluder": arguments.keep_out_model,
        "upscaler": arguments.bg_upscaler,
        "face_upscaler": arguments.face_upscaler,
        "background": arguments.background_inpainter or arguments.background_colorizer,
    }
    names = {part: name for part, name in wanted.items() if name}
    files = obtain(names, arguments, task or "")
    how = {"device": device, "precision": arguments.precision, "engine": arguments.engine}
    load = cache(partial(load_network, task=task or "", **how))
    paths = zip(names, files, strict=True)
    networks = {part: load(path, role_of(part)) for part, path in paths}  # both upscalers may be one
    restorer, detector, background = (networks.pop(role, None) for role in ("restorer", "detector", "background"))
    if recogniser := networks.pop("recogniser", None):
        networks["people"] = People(recogniser, references(arguments, detector, recogniser, device))
    if arguments.faces_from:
        try:
            detector = SavedFaces(*from_json(read_bytes(arguments.faces_from)))
            if arguments.command != "video" and any(face.image_index for face in detector.faces):
                raise ValueError("Found faces of several images. Expected those of one, as --save-faces writes them.")
        except ValueError as error:
            raise ValueError(f"{arguments.faces_from}: {error}") from error
    notice = getattr(restorer, "notice", "")
    if notice and not arguments.quiet and ("options.fidelity" in arguments.typed or arguments.command == "video"):
        tqdm.write(notice, file=sys.stderr)
    if arguments.compile:
        _compile(restorer, device)
    if second := networks.pop("second_restorer", None):
        restorer = MixedRestorer(restorer, second, arguments.mix)
    extras = Extras(**networks)
    enlarging = extras.face_upscaler if arguments.aligned else extras.upscaler
    if enlarging and "options.upscale" not in arguments.typed:
        options = replace(options, upscale=enlarging.scale)
    return RunContext(arguments, device, options, restorer, detector, extras, background, tuple(files))


def _searches(arguments: Arguments) -> bool:
    """Whether faces are searched for, in images or in the photos of --like."""
    return bool(arguments.like) or not (arguments.aligned or arguments.faces_from)


def _recognises(arguments: Arguments) -> bool:
    """Whether people are told apart: because it is asked for, or in a video, where who returns keeps the number from before."""
    options = arguments.options
    counts = options.selection.counts or isinstance(options.fidelity, tuple)
    returning = arguments.command == "video" and counts and is_installed()
    return returning or bool(arguments.like) or options.likeness != "off" or arguments.command == "people"


def _compile(restorer: Any, device: torch.device) -> None:
    """Have a restorer compiled, once it is known that something can be compiled here."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.zeros(8, device=device))
        restorer.compiled()
    except (RuntimeError, ImportError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"PyTorch cannot compile this network here ({reason}). Leave out --compile.") from error


def find_restorer(arguments: Arguments, task: str) -> str:
    """The name of the published network for a task; until that is here, of the one that comes with the project."""
    return _best_installed(
        suitable("restorer", task),
        "Starter model, small and limited: it draws 128 x 128 pixels a face and leaves larger, sharp ones as they are. "
        "`codeformer models fetch {best}` for full quality.",
        arguments,
    )


def find_detector(arguments: Arguments) -> str:
    """The name of the best detector that is installed, as the last of them always is."""
    names = suitable("detector")
    notice = "Detector: {installed}. `codeformer models fetch {best}` for the one that misses fewest faces."
    return _best_installed(names, notice, arguments)


def _best_installed(names: list[str], notice: str, arguments: Arguments) -> str:
    """The first of these names, best first, that is installed, with a notice unless it is the best; that with --download."""
    best = names[0]
    installed = next((name for name in names if checkpoints.find(name, arguments.weights)), best)
    if arguments.download or installed == best:
        return best
    if not arguments.quiet:
        tqdm.write(notice.format(installed=installed, best=best), file=sys.stderr)
    return installed


def load_network(
    path: Path, role: str, task: str, device: torch.device, precision: str = "exact", engine: str = "torch"
) -> Any:
    """The network in a file, which must have this role and, as a restorer, have been trained for this task."""
    if role == "upscaler":
        return load_upscaler(path).to(device)
    by_torch, precision = role != "restorer" or engine == "torch", suited(precision, device)
    network = checkpoints.load(path, precision=precision if by_torch else "exact")
    found = getattr(network, "task", None)
    if network.role != role or found not in (None, task):
        kind = f"face {network.role}" if found is None else f"{network.role} for {found}"
        needed = f"a {role}: see `codeformer models list`"
        if role in ("restorer", "background"):
            needed = f"a {role} for {task}: choose {suitable(role, task)[0]}"
        if role == "occluder":
            needed = "an occluder: an ONNX file with one channel out, such as xseg_1.onnx"
        if role == "recogniser":
            needed = "a recogniser: an ONNX file with 112 x 112 pixels in and 512 numbers out, such as w600k_r50.onnx"
        raise ValueError(f"{path.name} is a {kind}. Needed is {needed}.")
    if not by_torch:
        return by_openvino(network, precision, device)
    return network.to(device) if isinstance(network, torch.nn.Module) else network  # YuNet runs on the CPU only
