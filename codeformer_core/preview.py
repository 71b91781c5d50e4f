"""Draw detected faces into pictures, so that people see what was found."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from .faces import Face, Skipped

KEPT, LEFT = (0.0, 1.0, 0.0), (1.0, 0.6, 0.0)  # RGB: green is the reference's colour; orange marks what is left alone


def preview(images: Tensor, faces: Sequence[Face], skipped: Sequence[Skipped] = ()) -> Tensor:
    """Copies of images (B, 3, H, W) with boxes, landmarks, numbers and scores; skipped faces in orange."""
    labelled = [(face, f"{number} {face.score:.2f}") for number, face in enumerate(faces, 1)]
    left = [(skip.face, f"{skip.face.score:.2f}") for skip in skipped]
    drawn = images.clone()
    for marks, colour in ((labelled, KEPT), (left, LEFT)):
        paint = drawn.new_tensor(colour).reshape(3, 1, 1)
        for index in sorted({face.image_index for face, _ in marks}):
            ink = torch.from_numpy(_ink([mark for mark in marks if mark[0].image_index == index], *images.shape[-2:]))
            drawn[index] = torch.lerp(drawn[index], paint, ink.to(drawn) / 255)
    return drawn


def _ink(marks: Sequence[tuple[Face, str]], height: int, width: int) -> np.ndarray:
    """(height, width) uint8: how much of the colour each pixel takes."""
    canvas = np.zeros((height, width), np.uint8)
    line = max(1, round(min(height, width) / 300))
    for face, label in marks:
        x0, y0, x1, y1 = (round(value) for value in face.box)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), 255, line)
        for x, y in face.landmarks:
            cv2.circle(canvas, (round(x), round(y)), line + 1, 255, -1)
        size = line * 0.4
        (_, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, line)
        above = y0 - 2 * line
        baseline = above if above > text_height else y1 + text_height + 2 * line
        cv2.putText(canvas, label, (x0, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, 255, line, cv2.LINE_AA)
    return canvas
