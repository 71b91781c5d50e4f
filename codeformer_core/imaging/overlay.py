"""Draw previews: detected faces, labels, and heat maps of the network's uncertainty."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from ..faces import Face, Skipped

KEPT, SKIPPED = (0.0, 1.0, 0.0), (1.0, 0.6, 0.0)  # RGB; green is the reference's colour

SURE, GUESSED = (0.0, 0.7, 0.2), (1.0, 0.0, 0.0)

#: Opacity of the heat map.
TINT = 0.6


def draw_faces(
    images: Tensor, faces: Sequence[Face], skipped: Sequence[Skipped] = (), numbers: Sequence[int] | None = None
) -> Tensor:
    """Copies of images (B, 3, H, W) with boxes, landmarks, numbers, scores and sizes of faces; skipped ones are orange.

    Args:
        numbers: those of the faces and then of the skipped ones; None numbers the faces alone, from 1 in each image.

    The size is that of the box's longer side in image pixels, as `Selection.min_size` means it.
    """
    drawn = images.clone()
    everyone = [*faces, *(face for face, _ in skipped)]
    for index, image in enumerate(drawn):
        marks: dict[bool, list[tuple[Face, str]]] = {True: [], False: []}  # kept or not
        for row, face in enumerate(everyone):
            if face.image_index == index:
                kept = row < len(faces)
                number = numbers[row] if numbers else len(marks[True]) + 1 if kept else None
                marks[kept].append((face, f"{number}: {_described(face)}" if number else _described(face)))
        for kept, colour in ((True, KEPT), (False, SKIPPED)):
            if marks[kept]:
                coverage = torch.from_numpy(_draw_marks(marks[kept], *image.shape[-2:])).to(image) / 255
                image.copy_(torch.lerp(image, image.new_tensor(colour).reshape(3, 1, 1), coverage))
    return drawn


def _described(face: Face) -> str:
    x0, y0, x1, y1 = face.box
    return f"{face.score:.2f} {max(x1 - x0, y1 - y0):.0f}px"


def draw_labels(images: Tensor, labels: Sequence[str]) -> Tensor:
    """Copies of images (B, 3, H, W) with a line of text each, white on a dark strip along the lower border."""
    height, width = images.shape[-2:]
    drawn = images.clone()
    for image, label in zip(drawn, labels, strict=True):
        if not label:
            continue
        line = max(1, round(height / 250))
        (wide, high), below = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 1.0, line)
        size = min(height / 18 / high, 0.9 * width / wide)
        strip = min(height, max(1, round((high + below) * size * 1.5)))
        canvas = np.zeros((strip, width), np.uint8)
        at = (round((width - wide * size) / 2), round(strip / 2 + high * size / 2))
        cv2.putText(canvas, label, at, cv2.FONT_HERSHEY_SIMPLEX, size, 255, line, cv2.LINE_AA)
        lower = image[:, height - strip :]
        lower.copy_(torch.lerp(lower / 4, torch.ones_like(lower), torch.from_numpy(canvas).to(lower) / 255))
    return drawn


def draw_heatmap(images: Tensor, guessed: Tensor, covered: Tensor) -> Tensor:
    """Images (B, 3, H, W) with faces tinted from green, where the network was sure, to red, where it guessed.

    Args:
        guessed, covered: (B, 1, H, W) in [0, 1], see `certainty.paste_maps`.
    """
    sure, red = (images.new_tensor(colour).reshape(1, 3, 1, 1) for colour in (SURE, GUESSED))
    share = (guessed / covered.clamp(min=1e-6)).clamp(0, 1)
    return torch.lerp(images, torch.lerp(sure, red, share), TINT * covered)


def _draw_marks(marks: Sequence[tuple[Face, str]], height: int, width: int) -> np.ndarray:
    """(height, width) uint8: the coverage of the drawn boxes, points and text."""
    canvas = np.zeros((height, width), np.uint8)
    line = max(1, round(min(height, width) / 300))
    for face, label in marks:
        x0, y0, x1, y1 = (round(value) for value in face.box)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), 255, line)
        for x, y in face.landmarks:
            cv2.circle(canvas, (round(x), round(y)), line + 1, 255, -1)
        size, stroke = max(0.4, line * 0.3), max(1, line // 2)
        (_, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, stroke)
        above = y0 - 2 * line
        baseline = above if above > text_height else y1 + text_height + 2 * line
        cv2.putText(canvas, label, (x0, baseline), cv2.FONT_HERSHEY_SIMPLEX, size, 255, stroke, cv2.LINE_AA)
    return canvas
