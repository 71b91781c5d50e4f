"""Faces that other tools found: the host's boxes and landmarks, and whether they belong to the pictures at hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from .faces import Box, Face

Size = tuple[int, int]

#: MediaPipe's face mesh of 478 points: the centres of the irises, the tip of the nose (of 1 and 4 the one that lies where the
#: FFHQ template has it, 0.54 of the way from the eyes to the mouth in canonical_face_model.obj), the corners of the mouth.
MESH_EYES, MESH_NOSE, MESH_MOUTH = (468, 473), 1, (61, 291)
MESH_POINTS = 478


class Region(NamedTuple):
    """Where another tool, or a person, says that there is a face.

    Attributes:
        image_index: which image of the batch.
        box: x0, y0, x1, y1 in image pixels.
        score: the other tool's confidence, 0 to 1; 1 where it gives none.
    """

    image_index: int
    box: Box
    score: float


def from_bounding_boxes(value: Any, batch: int, image_size: Size) -> list[Region]:
    """The boxes of the host's BOUNDING_BOX in any of its three shapes.

    Args:
        value: a dict {x, y, width, height[, score]} or a list of such dicts (the same boxes for every picture), or a list of
            such lists, one for each picture (a single list serves every picture).
        batch: how many pictures there are.
        image_size: (H, W) of the pictures.

    Raises:
        ValueError: not such a value, another number of lists than pictures, a box without pixels or outside the picture.
    """
    if isinstance(value, Mapping):
        value = [[value]]
    elif isinstance(value, Sequence) and any(isinstance(entry, Mapping) for entry in value):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(frame, Sequence) for frame in value):
        raise ValueError(f"Found {value!r:.80} as boxes. Expected a box {{x, y, width, height}} or lists of them.")
    if len(value) <= 1:
        value = [*value, []][:1] * batch
    if len(value) != batch:
        raise ValueError(
            f"Found boxes of {len(value)} pictures and {batch} pictures. Expected a list for each picture, or one for all: "
            "connect the boxes that were found in these pictures."
        )
    return [Region(index, *_box(entry, image_size)) for index, frame in enumerate(value) for entry in frame]


def _box(entry: Any, image_size: Size) -> tuple[Box, float]:
    if not isinstance(entry, Mapping) or not {"x", "y", "width", "height"} <= entry.keys():
        raise ValueError(f"Found {entry!r:.80} as a box. Expected x, y, width and height in pixels.")
    x, y, width, height = (float(entry[key]) for key in ("x", "y", "width", "height"))
    if not all(map(math.isfinite, (x, y, width, height))) or width < 1 or height < 1:
        raise ValueError(f"Found a box of {width:g} x {height:g} at ({x:g}, {y:g}). Expected pixels, at least 1 x 1.")
    if x >= image_size[1] or y >= image_size[0] or x + width <= 0 or y + height <= 0:
        raise ValueError(
            f"Found a box at ({x:g}, {y:g}) of {width:g} x {height:g}, outside the picture of {image_size[1]} x "
            f"{image_size[0]}: connect the boxes that were found in this picture."
        )
    score = entry.get("score")
    return (x, y, x + width, y + height), 1.0 if score is None else float(score)


def from_host_landmarks(value: Any) -> tuple[list[Face], Size]:
    """The faces of the host's FACE_LANDMARKS, and (H, W) of the pictures that they were found in.

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
        raise ValueError(f"Found landmarks of picture {index + 1} that are not finite: detect again.")
    down = mesh[list(MESH_MOUTH)].mean(0) - mesh[list(MESH_EYES)].mean(0)
    # The viewer's right in the face's own frame, so that a face that lies or hangs is read like an upright one.
    right = torch.stack([down[1], -down[0]])
    eyes, mouth = (sorted(pair, key=lambda i: float(mesh[i] @ right)) for pair in (MESH_EYES, MESH_MOUTH))
    points = mesh[[*eyes, MESH_NOSE, *mouth]].tolist()
    extent = torch.cat([mesh.amin(0), mesh.amax(0)]) if "bbox_xyxy" not in entry else torch.as_tensor(entry["bbox_xyxy"])
    x0, y0, x1, y1 = extent.tolist()
    return Face(index, (x0, y0, x1, y1), tuple((x, y) for x, y in points), float(entry.get("score", 1.0)))


def fitted(faces: Sequence[Face], found_in: Size, batch: int, image_size: Size) -> list[Face]:
    """Faces that were found in pictures of size `found_in`, in `batch` pictures of `image_size`, both (H, W).

    Raises:
        ValueError: fewer pictures than the faces are of, or other proportions.
    """
    last = max((face.image_index for face in faces), default=-1)
    if last >= batch:
        raise ValueError(
            f"Found a face of picture {last + 1} and {batch} pictures: connect the pictures that the faces were found in."
        )
    scale_y, scale_x = image_size[0] / found_in[0], image_size[1] / found_in[1]
    if abs(scale_x - scale_y) > 1.0 / min(found_in) + 1e-6:  # a resize may round each side to a whole pixel
        raise ValueError(
            f"Found pictures of {image_size[1]} x {image_size[0]}, but the faces were found in {found_in[1]} x {found_in[0]}: "
            "connect those pictures, or the same at another size."
        )
    if found_in == image_size:
        return list(faces)
    return [face.scaled(scale_x, scale_y) for face in faces]
