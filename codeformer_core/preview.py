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
    drawn = images.clone()
    marked = [(face, KEPT, f"{number} {face.score:.2f}") for number, face in enumerate(faces, 1)]
    marked += [(left.face, LEFT, f"{left.face.score:.2f}") for left in skipped]
    for index in sorted({face.image_index for face, _, _ in marked}):
        canvas = np.ascontiguousarray(images[index].permute(1, 2, 0).float().cpu().numpy())
        line = max(1, round(min(canvas.shape[:2]) / 300))
        for face, colour, label in marked:
            if face.image_index == index:
                _draw(canvas, face, colour, label, line)
        drawn[index] = torch.from_numpy(canvas).permute(2, 0, 1).to(drawn)
    return drawn


def _draw(canvas: np.ndarray, face: Face, colour: tuple[float, float, float], label: str, line: int) -> None:
    x0, y0, x1, y1 = (round(value) for value in face.box)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, line)
    for x, y in face.landmarks:
        cv2.circle(canvas, (round(x), round(y)), line + 1, colour, -1)
    size = line * 0.4
    (_, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, line)
    baseline = y0 - 2 * line if y0 - 2 * line - text_height > 0 else y1 + text_height + 2 * line
    cv2.putText(canvas, label, (x0, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, colour, line, cv2.LINE_AA)
