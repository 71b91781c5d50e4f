"""The Python API in two functions: load networks, and fix an image from PIL, NumPy or torch, returned as the same type."""

import math
from collections.abc import Callable
from itertools import islice
from os import PathLike
from typing import Any, Literal, TypeVar, overload

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from . import checkpoints
from .extras import Extras
from .faces import Detector
from .imaging.resize import resize
from .networks.codeformer import CodeFormer
from .networks.mtcnn import MTCNN
from .networks.onnx_networks import OnnxRestorer
from .networks.openvino_engine import ENGINES, by_openvino
from .networks.parsers import FaceParser
from .networks.precision import suited
from .networks.retinaface import RetinaFace
from .networks.spandrel_restorer import SpandrelRestorer
from .networks.yunet import YuNet
from .options import FixOptions
from .pipeline import fix_faces
from .restoration import Restorer

P = TypeVar("P", Image.Image, np.ndarray, Tensor)

Device = torch.device | str

#: An image as (B, 3 or 4, H, W) float32 in [0, 1], and the conversion back to its type.
_Opened = tuple[Tensor, Callable[[Tensor], Any]]

#: Entries of a PIL image's `info` that stay valid after a fix: colour profile, resolution, metadata. Texts (PNG's) do too.
KEPT = ("icc_profile", "dpi", "exif", "xmp")

#: Mode of a PIL image -> the mode that it is fixed in.
MODES = {"RGB": "RGB", "RGBA": "RGBA", "L": "RGB", "LA": "RGBA", "1": "RGB", "P": "RGB", "PA": "RGBA", "I;16": "I;16"}


@overload
def load(
    model: Literal["codeformer", "codeformer-colorization", "codeformer-inpainting", "starter"],
    device: Device = "cpu",
    precision: str = "auto",
    download: bool = False,
    engine: str = "torch",
) -> CodeFormer: ...


@overload
def load(
    model: Literal["gfpgan-1.2", "gfpgan-1.3", "gfpgan-1.4", "restoreformer"],
    device: Device = "cpu",
    precision: str = "auto",
    download: bool = False,
) -> SpandrelRestorer: ...


@overload
def load(
    model: Literal["gpen-bfr-256", "gpen-bfr-512", "gpen-bfr-1024", "gpen-bfr-2048", "restoreformer++"],
    device: Device = "cpu",
    precision: str = "auto",
    download: bool = False,
) -> OnnxRestorer: ...


@overload
def load(
    model: Literal["retinaface-resnet50", "retinaface-mobile0.25"],
    device: Device = "cpu",
    precision: str = "auto",
    download: bool = False,
) -> RetinaFace: ...


@overload
def load(model: Literal["mtcnn"], device: Device = "cpu", precision: str = "auto", download: bool = False) -> MTCNN: ...


@overload
def load(model: Literal["yunet"], device: Device = "cpu", precision: str = "auto", download: bool = False) -> YuNet: ...


@overload
def load(
    model: Literal["parsenet", "bisenet"], device: Device = "cpu", precision: str = "auto", download: bool = False
) -> FaceParser: ...


@overload
def load(
    model: str | PathLike[str],
    device: Device = "cpu",
    precision: str = "auto",
    download: bool = False,
    engine: str = "torch",
) -> Any: ...


def load(
    model: str | PathLike[str],
    device: Device = "cpu",
    precision: str = "auto",
    download: bool = False,
    engine: str = "torch",
) -> Any:
    """The restorer, detector or parser in a model file, on a device.

    Args:
        model: a path, or a name as in `codeformer models list` ("codeformer", "retinaface-resnet50") of an installed file.
            "mtcnn" and "starter" always are: pip installs them with this package.
            Super-resolution networks are loaded by `upscaler.load_upscaler`.
        precision: of `networks.precision.CHOICES`; "auto" is what suits the device, as in the nodes and the command line.
        download: fetch a published file that is not here into `checkpoints.cache_folder`. Its licence is what `codeformer
            models list` says.
        engine: "torch", or "openvino" for a CodeFormer on a CPU: docs/performance.md#openvino has what it gains.

    Raises:
        FileNotFoundError: it is not here and not to be downloaded; the message says how to get it.
        OSError: the download failed; the message says what to do by hand.
        ValueError: see `checkpoints.load`; or no such engine, or one that does not compute this network there.
        ImportError: the network or the engine needs a package that is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"{engine!r} is no engine. Use one of: {', '.join(ENGINES)}.")
    path, known = checkpoints.find(str(model)), checkpoints.lookup(str(model))
    if path is None and known and download:
        path = checkpoints.fetch(known, checkpoints.cache_folder())
    if path is None:
        do = f"Get it: {known.command}" if known else "Give the path of a file, or a name it lists"
        raise FileNotFoundError(f"There is no model file {str(model)!r} here. {do} (codeformer models list).")
    precision = suited(precision, torch.device(device))
    if engine == "openvino":
        return by_openvino(checkpoints.load(path), precision, torch.device(device))
    network = checkpoints.load(path, precision=precision)
    return network.to(device) if isinstance(network, torch.nn.Module) else network


def fix(image: P, detector: Detector, restorer: Restorer, options: FixOptions = FixOptions(), extras: Extras = Extras()) -> P:
    """The same image with restored faces: `pipeline.fix_faces` for images of PIL, NumPy and torch.

    Args:
        image: a PIL image (RGB, RGBA, L, LA or I;16; 1 becomes L and P becomes RGB or RGBA; an EXIF rotation is applied); an
            RGB array (H, W), (H, W, 3 or 4) or (B, H, W, 3 or 4) of uint8, uint16, or floats in [0, 1]; or a tensor
            (3 or 4, H, W) or (B, 3 or 4, H, W) of floats in [0, 1]. It is not modified. OpenCV's arrays are BGR: convert them
            with [..., ::-1].
        detector, restorer: see `load`.
        options, extras: see `fix_faces`.

    Raises:
        TypeError, ValueError: an image of another kind, swapped networks, or networks on two devices.
    """
    for role, network, method in (("detector", detector, "detect"), ("restorer", restorer, "restore")):
        if not hasattr(network, method):
            raise TypeError(f"Found a {type(network).__name__} as the {role}. Expected fix(image, detector, restorer).")
    if not isinstance(options, FixOptions):
        raise TypeError(f"Found {options!r} as the options. Expected FixOptions, such as FixOptions(fidelity=0.5).")
    pixels, back = _opened(image)
    if not pixels.numel():
        raise ValueError(
            f"Found an image without pixels, of the shape {tuple(pixels.shape)}. Expected at least one: open it again."
        )
    low, high = (float(value) for value in pixels.aminmax())  # NaN when any value is
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("Found pixels that are not finite (NaN or infinity). Expected [0, 1]: look at what made the image.")
    if not (low >= 0 and high <= 1):
        raise ValueError(f"Found values from {low:.9g} to {high:.9g}. Expected [0, 1]: divide by the largest, or give uint8.")
    colours, alpha = pixels[:, :3], pixels[:, 3:]
    with torch.inference_mode():
        images = colours.to(_device(detector, restorer) or pixels.device)
        fixed = fix_faces(images, detector, restorer, options, extras).images.to(pixels.device)
    return back(torch.cat([fixed, resize(alpha, *fixed.shape[-2:])], dim=1) if alpha.shape[1] else fixed)


def _device(*networks: Any) -> torch.device | None:
    """The device of the networks; None for detectors and restorers that are no modules."""
    found = {p.device for one in networks if isinstance(one, torch.nn.Module) for p in islice(one.parameters(), 1)}
    if len(found) > 1:
        names = " and ".join(sorted(map(str, found)))
        raise ValueError(f"Found networks on {names}. Expected one device: load both with the same.")
    return next(iter(found), None)


def _opened(image: Any) -> _Opened:
    if isinstance(image, Image.Image):
        return _opened_pil(image)
    if isinstance(image, np.ndarray):
        return _opened_array(image)
    if isinstance(image, Tensor):
        return _opened_tensor(image)
    raise TypeError(f"Found a {type(image).__name__}. Expected a PIL image, a NumPy array or a torch tensor.")


def _opened_pil(image: Image.Image) -> _Opened:
    mode = image.mode
    if mode not in MODES:
        do = "give its values as an array of floats in [0, 1]" if mode in ("I", "F") else 'convert it, as in .convert("RGB")'
        raise ValueError(f"Found a PIL image of mode {mode}. Expected RGB, RGBA, L, LA, I;16, 1 or P: {do}.")
    upright = ImageOps.exif_transpose(image)
    worked = "RGBA" if mode == "P" and "transparency" in upright.info else MODES[mode]
    returned = {"1": "L", "P": worked, "PA": worked}.get(mode, mode)
    pixels, back = _opened_array(np.asarray(upright if mode == worked else upright.convert(worked)))

    def back_to_pil(images: Tensor) -> Image.Image:
        image = Image.fromarray(back(images))
        image = image if image.mode == returned else image.convert(returned)
        image.info |= {key: value for key, value in upright.info.items() if key in KEPT or isinstance(value, str)}
        return image

    return pixels, back_to_pil


def _opened_array(image: np.ndarray) -> _Opened:
    grey, several = image.ndim == 2, image.ndim == 4
    if image.dtype.kind != "f" and image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"Found an array of {image.dtype}. Expected uint8, uint16, or floats in [0, 1].")
    if not image.size or not (grey or (image.ndim in (3, 4) and image.shape[-1] in (3, 4))):
        raise ValueError(f"Found an array of shape {image.shape}. Expected (H, W), (H, W, 3 or 4) or (B, H, W, 3 or 4).")
    most = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    values = torch.from_numpy(image.astype(np.float32) / most)
    pixels = values.expand(3, *values.shape)[None] if grey else values.reshape(-1, *values.shape[-3:]).movedim(-1, 1)

    def back(images: Tensor) -> np.ndarray:
        found = images.movedim(1, -1)
        found = found[..., 0] if grey else found
        found = found if several else found[0]
        return (found * most if most == 1 else (found * most).round()).numpy().astype(image.dtype)

    return pixels, back


def _opened_tensor(image: Tensor) -> _Opened:
    if not image.is_floating_point() or image.ndim not in (3, 4) or image.shape[-3] not in (3, 4):
        raise ValueError(
            f"Found a tensor of {image.dtype} and shape {tuple(image.shape)}. "
            "Expected floats in [0, 1], (3 or 4, H, W) or (B, 3 or 4, H, W)."
        )
    single = image.ndim == 3
    pixels = image.float()[None] if single else image.float()
    return pixels, lambda images: (images[0] if single else images).to(image.dtype, copy=True)
