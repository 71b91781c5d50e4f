"""The same measurements on the official code, imported from a user's checkout of sczhou/CodeFormer; nothing of it is copied.

It is run as its inference_codeformer.py runs it, with the square mask, and with the same synthetic weights as this project.
"""

import sys
import types
from collections.abc import Callable
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import synthetic_weights
from .cases import Case
from .resources import FIDELITY, Resources, Round, Stopwatch

#: A file that identifies a checkout.
MARK = Path("facelib", "utils", "face_restoration_helper.py")


def check_checkout(folder: Path) -> None:
    """A ValueError unless a folder is a checkout of the official code."""
    if not (folder / MARK).is_file():
        raise ValueError(
            f"{folder} is no checkout of the official CodeFormer: it has no {MARK.as_posix()}. "
            "Give the folder of a clone of https://github.com/sczhou/CodeFormer."
        )


class Official(Resources):
    """Networks and inputs that the official code's cases share."""

    def __init__(self, device: str, folder: Path, reference: Path) -> None:
        super().__init__(device, folder, tiny=False)
        sys.path.insert(0, str(reference))
        # Its own __init__ imports the training code, and a version that only its installer writes.
        package = types.ModuleType("basicsr")
        package.__path__ = [str(reference / "basicsr")]
        sys.modules["basicsr"] = package
        try:
            self._helper_class = import_module("facelib.utils.face_restoration_helper").FaceRestoreHelper
            self._network_class = import_module("basicsr.archs.codeformer_arch").CodeFormer
            self.utilities = import_module("basicsr.utils")
        except ImportError as error:
            raise ValueError(
                f"The official code in {reference} cannot be imported ({error}). "
                f"Install what it needs beside this project: pip install {error.name or ''}"
            ) from error
        for part in ("facelib.detection", "facelib.parsing"):  # instead of downloading them
            vars(import_module(part))["load_file_from_url"] = lambda url, **_: str(self.file(url.rpartition("/")[2]))

    def built(self) -> Any:
        """CodeFormer, built and filled as the official program does."""
        network = self._network_class(
            dim_embd=512, codebook_size=1024, n_head=8, n_layers=9, connect_list=["32", "64", "128", "256"]
        ).to(self.device)
        network.load_state_dict(torch.load(self.file(synthetic_weights.RESTORER))["params_ema"])
        return network.eval()

    @cached_property
    def restorer(self) -> Any:
        return self.built()

    @cached_property
    def helper(self) -> Any:
        return self._helper_class(1, face_size=512, det_model="retinaface_resnet50", use_parse=False, device=self.device)

    def pixels(self, case: Case) -> tuple[np.ndarray, list[np.ndarray]]:
        """The image in the official code's layout, (H, W, 3) BGR in 8 bits, and the landmarks (5, 2) of its faces."""
        scene = self.scene(case)
        rgb = scene.image[0].mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
        return np.ascontiguousarray(rgb[:, :, ::-1]), [np.array(face.landmarks) for face in scene.faces]

    def opened(self, pixels: np.ndarray) -> Any:
        """The helper, holding this image only."""
        self.helper.clean_all()
        self.helper.read_image(pixels)
        return self.helper

    def restored(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) in [-1, 1] through the network."""
        with torch.no_grad():
            return self.restorer(crops, w=FIDELITY, adain=True)[0]


def _load(case: Case, official: Official) -> Round:
    official.file(synthetic_weights.RESTORER)
    return official.once(official.built)


def _detect(case: Case, official: Official) -> Round:
    helper = official.opened(official.pixels(case)[0])
    return official.once(partial(helper.get_face_landmarks_5, resize=640, eye_dist_threshold=5))


def _align(case: Case, official: Official) -> Round:
    pixels, landmarks = official.pixels(case)
    return official.once(lambda: _aligned(official, pixels, landmarks))


def _aligned(official: Official, pixels: np.ndarray, landmarks: list[np.ndarray]) -> Any:
    helper = official.opened(pixels)
    helper.all_landmarks_5 = list(landmarks)
    helper.align_warp_face()
    return helper


def _paste(case: Case, official: Official) -> Round:
    helper = _aligned(official, *official.pixels(case))
    helper.restored_faces = [255 - crop for crop in helper.cropped_faces]

    def paste() -> None:
        helper.inverse_affine_matrices = []  # pasting modifies them
        helper.get_inverse_affine()
        helper.paste_faces_to_input_image()

    return official.once(paste)


def _restore(case: Case, official: Official) -> Round:
    crops = official.crops(case, 512) * 2 - 1
    official.restorer  # noqa: B018 - loads the network outside of the timing
    return official.once(lambda: official.restored(crops))


def _parts(case: Case, official: Official) -> Round:
    crops, network = official.crops(case, 512) * 2 - 1, official.built()
    watch = Stopwatch(network, official.device)

    @torch.no_grad()
    def run() -> list[float]:
        return watch.parts(lambda: network(crops, w=FIDELITY, adain=True))

    return run


def _parse(case: Case, official: Official) -> Round:
    crops, parser = official.crops(case, 512) * 2 - 1, official.helper.face_parse

    @torch.no_grad()
    def parse() -> Tensor:
        return parser(crops)[0].argmax(dim=1)

    return official.once(parse)


def _image(case: Case, official: Official) -> Round:
    pixels, landmarks = official.pixels(case)
    utilities = official.utilities
    official.restorer  # noqa: B018 - loads the network outside of the timing

    def fix() -> None:
        helper = official.opened(pixels)
        helper.get_face_landmarks_5(resize=640, eye_dist_threshold=5)
        helper.all_landmarks_5 = list(landmarks)  # synthetic weights detect none
        helper.align_warp_face()
        for crop in helper.cropped_faces:
            degraded = utilities.img2tensor(crop / 255.0, bgr2rgb=True, float32=True).sub_(0.5).div_(0.5)
            restored = utilities.tensor2img(official.restored(degraded[None].to(official.device)), min_max=(-1, 1))
            helper.add_restored_face(restored, crop)
        helper.get_inverse_affine()
        helper.paste_faces_to_input_image()

    return official.once(fix)


#: Name of a measurement -> the function that prepares it; the others have no counterpart.
PREPARE: dict[str, Callable[[Case, Official], Round]] = {
    "load": _load,
    "detect": _detect,
    "align": _align,
    "parts": _parts,
    "restore": _restore,
    "parse": _parse,
    "paste": _paste,
    "picture": _image,
}
