"""What Select Faces tells its widget in the browser (web/js/faces.js): the pictures, and the faces in them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..codeformer_core.choosing import candidates, only_faces, small
from ..codeformer_core.faces import AlignedFaces, Skipped
from . import host

#: Of a longer batch, such as the frames of a video, only so many pictures are shown.
MOST = 16


def shown(faces: AlignedFaces, skipped: Sequence[Skipped], image: Tensor | None) -> dict[str, list[dict[str, Any]]]:
    """The `ui` of the node: for each picture where it is, and its faces as `choosing.Candidate` says.

    Args:
        faces: all of them, before the choice.
        skipped: those that are left alone.
        image: the IMAGE that they were found in, or None: then only the faces are shown, in their places.
    """
    count = min(MOST, 1 + max((face.image_index for face in faces.faces), default=-1) if image is None else len(image))
    if not count:
        return {"codeformer_faces": []}
    pictures = only_faces(faces, count) if image is None else small(host.to_core(image[:count])[0])
    files = ui.ImageSaveHelper.save_images(
        host.to_host(pictures).float(), "codeformer_faces", io.FolderType.temp, cls=None, compress_level=1
    )
    result: list[dict[str, Any]] = [{"image": file, "faces": []} for file in files]
    for candidate in candidates(faces.faces, faces.image_size, skipped):
        if candidate.image_index < count:
            result[candidate.image_index]["faces"].append(asdict(candidate))
    return {"codeformer_faces": result}
