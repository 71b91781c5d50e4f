"""YuNet, the small detector with the most liberal licence (MIT), through OpenCV; it runs on the CPU."""

import hashlib
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from torch import Tensor

from ..faces import DetectionOptions, Face
from ..runtime.finite import without_nan
from .retinaface import detection_scale, detection_size, resized
from .trial import fault_of
from .yunet_trial import create

#: SHA-256 of the files that OpenCV's model zoo publishes (their Git LFS pointers) -> their names.
PUBLISHED = {
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4": "face_detection_yunet_2023mar.onnx",
    "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0": "face_detection_yunet_2026may.onnx",
}

#: SHA-256 of files that were tried -> what is wrong with them, "" for nothing.
_TRIED = dict.fromkeys(PUBLISHED, "")


def _check(path: Path, data: np.ndarray) -> None:
    """A ValueError unless a file is a published one, or was seen to work: OpenCV ends the process on damaged files."""
    digest = hashlib.sha256(data.tobytes()).hexdigest()
    if digest not in _TRIED:
        if path.name in PUBLISHED.values():
            _TRIED[digest] = f"it is damaged: its SHA-256 is {digest}"
        else:
            _TRIED[digest] = _trial(path)
    if problem := _TRIED[digest]:
        raise ValueError(
            f"{path.name} is not a YuNet that OpenCV {cv2.__version__} can read ({problem}). "
            f"Expected {', '.join(PUBLISHED.values())} or a later one: `codeformer models fetch yunet`."
        )


def _trial(path: Path) -> str:
    """What `yunet_trial` finds wrong with a file."""
    return fault_of(Path(__file__).with_name("yunet_trial.py"), str(path), library="OpenCV")


class YuNet:
    """A face detector with five landmarks, from an ONNX file of OpenCV's model zoo. Threads may share it; it pickles by path.

    Attributes:
        role: "detector".
    """

    role = "detector"

    def __init__(self, path: str | Path) -> None:
        """Read the file. Raises ValueError when it is no YuNet that OpenCV can read, or damaged."""
        self.path, data = path, np.fromfile(path, np.uint8)
        self._lock = Lock()  # OpenCV's detector keeps size and thresholds between the calls
        _check(Path(path), data)
        self.network = create(str(path), data)

    def __reduce__(self) -> tuple[type["YuNet"], tuple[str | Path]]:
        return YuNet, (self.path,)

    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image."""
        height, width = images.shape[-2:]
        size = detection_size(height, width, options.side)
        scale = detection_scale(height, width, options.side)
        faces: list[Face] = []
        for index in range(len(images)):
            image = resized(without_nan(images[index : index + 1].float()), size)[0]
            pixels = (image.flip(0) * 255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()
            with self._lock:
                self.network.setInputSize(size[::-1])
                self.network.setScoreThreshold(options.confidence)
                self.network.setNMSThreshold(options.overlap)
                _, rows = self.network.detect(pixels)  # (n, 15): x, y, w, h, five points, score
            for x, y, w, h, *points, score in sorted([] if rows is None else rows.tolist(), key=lambda row: -row[-1]):
                box = (x / scale, y / scale, (x + w) / scale, (y + h) / scale)
                marks = tuple((points[i] / scale, points[i + 1] / scale) for i in range(0, 10, 2))
                faces.append(Face(index, box, marks, score))
        return faces
