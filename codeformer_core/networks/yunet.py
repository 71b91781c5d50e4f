"""YuNet, the small detector with the most liberal licence (MIT), through OpenCV; it runs on the CPU."""

from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from torch import Tensor

from ..faces import DetectionOptions, Face
from .retinaface import detection_scale, detection_size, resized


class YuNet:
    """A face detector with five landmarks, from an ONNX file of OpenCV's model zoo. Threads may share it; it pickles by path.

    Attributes:
        role: "detector".
    """

    role = "detector"

    def __init__(self, path: str | Path) -> None:
        """Read the file. Raises ValueError when OpenCV finds no YuNet in it."""
        self.path, size = path, (320, 320)
        self._lock = Lock()  # OpenCV's detector keeps size and thresholds between the calls
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns about its own choice of a target
        try:
            try:  # from memory, because OpenCV's reader cannot open every Unicode path on Windows
                self.network = cv2.FaceDetectorYN.create("onnx", np.fromfile(path, np.uint8), np.empty(0, np.uint8), size)
            except TypeError:  # OpenCV 4.8 takes nothing but a path
                self.network = cv2.FaceDetectorYN.create(str(path), "", size)
        except cv2.error as error:
            raise ValueError(
                f"{Path(path).name} is not a YuNet that OpenCV {cv2.__version__} can read ({error.err}). "
                "Expected face_detection_yunet_2023mar.onnx or a later one: `codeformer models fetch yunet`."
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def __reduce__(self) -> tuple[type["YuNet"], tuple[str | Path]]:
        return YuNet, (self.path,)

    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1], best first within each image."""
        height, width = images.shape[-2:]
        size = detection_size(height, width, options.side)
        scale = detection_scale(height, width, options.side)
        faces: list[Face] = []
        for index in range(len(images)):
            image = resized(images[index : index + 1].float(), size)[0]
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
