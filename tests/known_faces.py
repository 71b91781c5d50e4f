"""Stand-in for a detector where its weights are absent: finds the recorded faces of the public-domain photographs only."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from codeformer_core.detection.faces_json import from_json
from codeformer_core.faces import Face
from codeformer_core.options import DetectionOptions

DATA = Path(__file__).parent / "data"

#: Normalised correlation from which an area shows a recorded face: under noise, tint and blur it stays above, another face's
#: is below 0.7.
SAME = 0.8

#: Height, in pixels, of a face in the reduced image that is searched first.
COARSE = 16


class KnownFaces:
    """Template matching (normalised cross-correlation) of the recorded faces; `options` are those of the last call.

    A face is found upright, at the scale of its photograph, or where the photograph is resized to the height or the width of
    the image, or at one of `scales`. Where it did not move, its box and landmarks are exactly those recorded.
    """

    role = "detector"

    def __init__(self, *scales: float) -> None:
        self.scales = scales
        self.options: DetectionOptions | None = None

    def detect(self, images, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        self.options = options
        found = []
        for index, image in enumerate(images.detach().float().cpu().mean(1).numpy()):
            faces = {face.box: face._replace(image_index=index) for face in _faces_of(image, self.scales)}
            found += sorted(faces.values(), key=lambda face: -face.score)
        return found


def _faces_of(image: np.ndarray, scales: tuple[float, ...]) -> Iterator[Face]:
    height, width = image.shape
    for path in sorted((DATA / "faces").glob("*.json")):
        rows, columns = _photo(path.stem)[0].shape
        for scale in {1.0, height / rows, width / columns, *scales}:
            for template, corner, face in _templates(path.stem, scale):
                if (shift := _match(image, template, corner)) is not None:
                    (x0, y0, x1, y1), (dx, dy) = face.box, shift
                    yield face._replace(
                        box=(x0 + dx, y0 + dy, x1 + dx, y1 + dy), landmarks=tuple((x + dx, y + dy) for x, y in face.landmarks)
                    )


@cache
def _photo(stem: str) -> tuple[np.ndarray, list[Face]]:
    """The photograph (H, W) in [0, 1], and its faces."""
    (path,) = (DATA / "photos").glob(f"{stem}.*")
    grey = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32).mean(2) / 255
    return grey, from_json((DATA / "faces" / f"{stem}.json").read_text())[0]


@cache
def _templates(stem: str, scale: float) -> list[tuple[np.ndarray, tuple[int, int], Face]]:
    """Of each face at a scale: the area of its box, the box's corner (x, y), and the scaled face."""
    photo, faces = _photo(stem)
    resized = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    templates = []
    for face in (face.scaled(scale, scale) for face in faces):
        x0, y0, x1, y1 = (max(0, round(value)) for value in face.box)
        templates.append((resized[y0:y1, x0:x1], (x0, y0), face))
    return [template for template in templates if min(template[0].shape) >= 8]


def _correlation(image: np.ndarray, template: np.ndarray) -> np.ndarray:
    if image.shape[0] < template.shape[0] or image.shape[1] < template.shape[1]:
        return np.zeros((1, 1))
    # Noise far below one level: where the image is flat, the correlation would be 0 / 0.
    return np.nan_to_num(cv2.matchTemplate(image, template, cv2.TM_CCOEFF_NORMED), posinf=0, neginf=0).clip(-1, 1)


def _match(image: np.ndarray, template: np.ndarray, corner: tuple[int, int]) -> tuple[int, int] | None:
    """How far (x, y) the template lies from its place; None where the image does not show it."""
    x, y = corner
    here = image[y : y + template.shape[0], x : x + template.shape[1]]
    if here.shape == template.shape and _correlation(here, template)[0, 0] > SAME and here.std() > 0.01:
        return 0, 0
    factor = min(1.0, COARSE / template.shape[0])
    small, sought = (cv2.resize(one, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for one in (image, template))
    rough = _correlation(small, sought)
    row, column = np.unravel_index(rough.argmax(), rough.shape)
    reach = round(2 / factor)
    top, left = max(0, round(row / factor) - reach), max(0, round(column / factor) - reach)
    area = image[top : top + template.shape[0] + 2 * reach, left : left + template.shape[1] + 2 * reach]
    fine = _correlation(area, template)
    row, column = np.unravel_index(fine.argmax(), fine.shape)
    return (int(left + column - x), int(top + row - y)) if fine[row, column] > SAME and area.std() > 0.01 else None
