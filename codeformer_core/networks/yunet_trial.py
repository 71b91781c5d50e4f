"""Load and run a YuNet file in a process of its own, `python yunet_trial.py FILE`: OpenCV ends the process on damaged ones.

Nothing else of the package is imported, so that the process starts in half a second.
"""

import sys

import cv2
import numpy as np

#: (width, height) of the images tried: what is usual, odd, wide and tiny.
SIZES = ((320, 320), (640, 640), (1137, 640), (640, 961), (37, 53))


def create(path: str, data: np.ndarray) -> cv2.FaceDetectorYN:
    """OpenCV's detector from the bytes of an ONNX file; a cv2.error when it finds no YuNet in them."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns about its own choice of a target
    try:
        try:  # from memory, because OpenCV's reader cannot open every Unicode path on Windows
            return cv2.FaceDetectorYN.create("onnx", data, np.empty(0, np.uint8), SIZES[0])
        except TypeError:  # OpenCV 4.8 takes nothing but a path
            return cv2.FaceDetectorYN.create(path, "", SIZES[0])
    finally:
        cv2.utils.logging.setLogLevel(level)


def fault(path: str) -> str:
    """What is wrong with a file that does not end the process; "" when it detects in images of several sizes."""
    data = np.fromfile(path, np.uint8)
    try:
        detector, network = create(path, data), cv2.dnn.readNetFromONNX(data)
        noise = np.random.default_rng(0)
        for width, height in SIZES:
            image = noise.integers(0, 256, (height, width, 3), np.uint8)
            detector.setInputSize((width, height))
            detector.detect(image)
        network.setInput(cv2.dnn.blobFromImage(noise.integers(0, 256, (640, 640, 3), np.uint8)))
        finite = all(np.isfinite(output).all() for output in network.forward(network.getUnconnectedOutLayersNames()))
    except cv2.error as error:
        return error.err.strip().partition("\n")[0] or "OpenCV refuses it"
    return "" if finite else "it gives values that are not finite"


if __name__ == "__main__":
    sys.exit(fault(sys.argv[1]) or 0)
