"""Faces detected by other tools: read boxes and landmarks of ComfyUI, and locate landmarks in boxes that have none."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..align import FILL
from ..faces import Box, Detector, Face, Point, Size, check_images
from ..options import DetectionOptions

#: MediaPipe's face mesh of 478 points: the centres of the irises, the tip of the nose (of 1 and 4 the one at the position of
#: the FFHQ template's, 0.54 of the way from the eyes to the mouth in canonical_face_model.obj), the corners of the mouth.
MESH_EYES, MESH_NOSE, MESH_MOUTH = (468, 473), 1, (61, 291)

MESH_POINTS = 478


class FaceBox(NamedTuple):
    """A face box from another tool, or drawn by a person, without landmarks.

    Attributes:
        image_index: which image of the batch.
        box: x0, y0, x1, y1 in image pixels.
        score: the other tool's confidence, 0 to 1; 1 where it gives none.
    """

    image_index: int
    box: Box
    score: float


def read_bounding_boxes(value: Any, batch: int, image_size: Size) -> list[FaceBox]:
    """Read ComfyUI's BOUNDING_BOX in any of its three shapes.

    Args:
        value: a dict {x, y, width, height[, score]} or a list of such dicts (the same boxes for every image), or a list of
            such lists, one for each image (a single list serves every image).
        batch: B, the number of images.
        image_size: (H, W) of the images.

    Raises:
        ValueError: not such a value, another number of lists than images, an empty box or one outside the image.
    """
    value = [value] if isinstance(value, Mapping) else value
    if isinstance(value, Sequence) and any(isinstance(entry, Mapping) for entry in value):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(frame, Sequence) for frame in value):
        raise ValueError(f"Found {value!r:.80} as boxes. Expected a box {{x, y, width, height}} or lists of them.")
    if len(value) <= 1:
        value = [*value, []][:1] * batch
    if len(value) != batch:
        raise ValueError(
            f"Found boxes of {len(value)} images and {batch} images. Expected a list for each image, or one for all: "
            "connect the boxes that were found in these images."
        )
    return [FaceBox(index, *_box(entry, image_size)) for index, frame in enumerate(value) for entry in frame]


def _box(entry: Any, image_size: Size) -> tuple[Box, float]:
    if not isinstance(entry, Mapping) or not {"x", "y", "width", "height"} <= entry.keys():
        raise ValueError(f"Found {entry!r:.80} as a box. Expected x, y, width and height in pixels.")
    x, y, width, height = (float(entry[key]) for key in ("x", "y", "width", "height"))
    if not all(map(math.isfinite, (x, y, width, height))) or width < 1 or height < 1:
        raise ValueError(f"Found a box of {width:g} x {height:g} at ({x:g}, {y:g}). Expected pixels, at least 1 x 1.")
    if x >= image_size[1] or y >= image_size[0] or x + width <= 0 or y + height <= 0:
        raise ValueError(
            f"Found a box at ({x:g}, {y:g}) of {width:g} x {height:g}, outside the image of {image_size[1]} x "
            f"{image_size[0]}: connect the boxes that were found in this image."
        )
    score = entry.get("score")
    return (x, y, x + width, y + height), 1.0 if score is None else float(score)


def read_host_landmarks(value: Any) -> tuple[list[Face], Size]:
    """Read ComfyUI's FACE_LANDMARKS: the faces, and (H, W) of the images that they were detected in.

    Args:
        value: {"frames": [[face, ...], ...], "image_size": (H, W)}; a face has landmarks_xy (478, 2) in pixels and may have
            bbox_xyxy and score.

    Raises:
        ValueError: not such a value.
    """
    if not isinstance(value, Mapping) or not {"frames", "image_size"} <= value.keys():
        raise ValueError(f"Found {value!r:.80} as landmarks. Expected the output of the host's face landmarker.")
    faces = [_mesh_face(index, entry) for index, frame in enumerate(value["frames"]) for entry in frame]
    height, width = (int(side) for side in value["image_size"])
    return faces, (height, width)


def _mesh_face(index: int, entry: Mapping[str, Any]) -> Face:
    mesh = torch.as_tensor(entry["landmarks_xy"], dtype=torch.float64)
    if mesh.ndim != 2 or mesh.shape[0] < MESH_POINTS or mesh.shape[1] < 2:
        raise ValueError(
            f"Found landmarks of shape {tuple(mesh.shape)}. Expected ({MESH_POINTS}, 2), the mesh with irises: use a face "
            "landmarker that gives them."
        )
    mesh = mesh[:, :2]
    if not mesh.isfinite().all():
        raise ValueError(f"Found landmarks of image {index + 1} that are not finite: detect again.")
    down = mesh[list(MESH_MOUTH)].mean(0) - mesh[list(MESH_EYES)].mean(0)
    # The viewer's right in the face's own frame, so that left and right are correct for rotated faces too.
    right = torch.stack([down[1], -down[0]])
    eyes, mouth = (sorted(pair, key=lambda i: float(mesh[i] @ right)) for pair in (MESH_EYES, MESH_MOUTH))
    points = mesh[[*eyes, MESH_NOSE, *mouth]].tolist()
    extent = torch.cat([mesh.amin(0), mesh.amax(0)]) if "bbox_xyxy" not in entry else torch.as_tensor(entry["bbox_xyxy"])
    x0, y0, x1, y1 = extent.tolist()
    return Face(index, (x0, y0, x1, y1), tuple((x, y) for x, y in points), float(entry.get("score", 1.0)))


def scale_faces(faces: Sequence[Face], found_in: Size, batch: int, image_size: Size) -> list[Face]:
    """Faces detected in images of size `found_in`, scaled to `batch` images of `image_size`, both (H, W).

    Raises:
        ValueError: see `check_images`.
    """
    check_images(faces, found_in, batch, image_size)
    if found_in == image_size:
        return list(faces)
    return [face.scaled(image_size[1] / found_in[1], image_size[0] / found_in[0]) for face in faces]


#: The mean landmarks in a detector's box of width and height 1, and that box's width by height: the means of the 43 faces
#: of the test data's photos_annotated and their mirror images, RetinaFace MobileNet0.25 at 640 (YuNet: the same to 0.013).
MEAN_LANDMARKS: tuple[Point, ...] = ((0.281, 0.389), (0.719, 0.389), (0.5, 0.575), (0.31, 0.727), (0.69, 0.727))

MEAN_ASPECT = 0.76

#: The second detection runs on the box enlarged this many times, letterboxed to VIEW x VIEW pixels: the face then has about 128
#: pixels, the middle of the range that detectors are trained on.
ENLARGED = 2.0

VIEW = 256

VIEWS_PER_CALL = 32


def locate_landmarks(
    images: Tensor, regions: Sequence[FaceBox], detector: Detector, options: DetectionOptions = DetectionOptions()
) -> tuple[list[Face], list[str]]:
    """Faces with landmarks for boxes without.

    The detector runs on each box, enlarged, at half the usual confidence, since a face is known to be in it. Where it detects
    none, the box gets the mean landmarks of an upright face, score 0 and a note.

    Args:
        images: (B, 3, H, W) RGB in [0, 1].
        regions: boxes in these images.
        options: for the detector; its `side` is not used.

    Returns:
        A face for each box in their order, and a sentence for each pose that is a guess.
    """
    from torchvision.ops import box_iou

    faces: list[Face] = []
    notes: list[str] = []
    lenient = replace(options, side=VIEW, confidence=options.confidence / 2)
    for start in range(0, len(regions), VIEWS_PER_CALL):
        part = regions[start : start + VIEWS_PER_CALL]
        views, to_image = zip(*(_letterbox(images, region) for region in part), strict=True)
        found = detector.detect(torch.cat(views), lenient)
        for index, region in enumerate(part):
            x0, y0, x1, y1 = region.box
            detected = [face.mapped(to_image[index]) for face in found if face.image_index == index]
            inside = [face for face in detected if x0 <= face.centre[0] <= x1 and y0 <= face.centre[1] <= y1]
            if inside:
                boxes, box = (torch.tensor(rows, dtype=torch.float64) for rows in ([face.box for face in inside], [region.box]))
                closest = inside[int(box_iou(boxes, box).argmax())]
                faces.append(closest._replace(image_index=region.image_index))
            else:
                faces.append(frontal_face(region))
                x, y = faces[-1].centre
                notes.append(
                    f"No face was seen in the box at ({x:.0f}, {y:.0f}) of image {region.image_index + 1}: its pose is a "
                    "guess (upright, from the front)."
                )
    return faces, notes


def frontal_face(region: FaceBox) -> Face:
    """An upright frontal face with the mean landmarks in a box, and score 0."""
    x0, y0, x1, y1 = region.box
    # A box of a detector's aspect ratio with the same centre and area; people and other tools draw wider ones.
    height = math.sqrt((x1 - x0) * (y1 - y0) / MEAN_ASPECT)
    width = height * MEAN_ASPECT
    left, top = (x0 + x1 - width) / 2, (y0 + y1 - height) / 2
    return Face(region.image_index, region.box, tuple((left + x * width, top + y * height) for x, y in MEAN_LANDMARKS), 0.0)


def _letterbox(images: Tensor, region: FaceBox) -> tuple[Tensor, Callable[[float, float], Point]]:
    """A box with its surroundings, letterboxed to (1, 3, VIEW, VIEW), and (x, y) of this view to (x, y) of the image."""
    height, width = images.shape[-2:]
    x0, y0, x1, y1 = region.box
    radius = max(x1 - x0, y1 - y0) * ENLARGED / 2
    left, right = max(0, math.floor((x0 + x1) / 2 - radius)), min(width, math.ceil((x0 + x1) / 2 + radius))
    top, bottom = max(0, math.floor((y0 + y1) / 2 - radius)), min(height, math.ceil((y0 + y1) / 2 + radius))
    part = images[region.image_index : region.image_index + 1, :, top:bottom, left:right]
    scale = VIEW / max(right - left, bottom - top)
    size = (max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale)))
    shown = F.interpolate(part, size=size, mode="bilinear", antialias=scale < 1)
    pixels = images.new_tensor(FILL).reshape(1, 3, 1, 1).repeat(1, 1, VIEW, VIEW)
    pixels[:, :, : size[0], : size[1]] = shown
    scale_x, scale_y = size[1] / (right - left), size[0] / (bottom - top)
    return pixels, lambda x, y: (left + x / scale_x, top + y / scale_y)
