"""Select Faces, and what it sends to its widget in the browser (web/js/faces.js): thumbnails, and the faces in them."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..codeformer_core.detection.external import scale_faces
from ..codeformer_core.detection.faces_json import to_json
from ..codeformer_core.faces import AlignedFaces, Skipped
from ..codeformer_core.options import Selection
from ..codeformer_core.selection.candidates import list_candidates, thumbnails, thumbnails_from_crops
from ..codeformer_core.selection.report import report
from ..codeformer_core.selection.select import select_rows
from ..codeformer_core.selection.sharpness import measure_crop_sharpness, measure_sharpness
from . import inputs
from .host import progress, tensors

#: Thumbnails of a longer batch, such as the frames of a video.
MAX_PICTURES = 16


def picker_ui(faces: AlignedFaces, reasons: Mapping[int, str], image: Tensor | None) -> dict[str, list[dict[str, Any]]]:
    """The `ui` of the node: for each image the file of its thumbnail, and its faces as `selection.candidates.Candidate`.

    Args:
        faces: all of them, before the selection.
        reasons: row of a face that is left out -> why.
        image: the IMAGE that they were detected in, or None: then the thumbnails show only the crops, in their places.
    """
    count = min(MAX_PICTURES, 1 + max((face.image_index for face in faces.faces), default=-1) if image is None else len(image))
    if not count:
        return {"codeformer_faces": []}
    pictures = thumbnails_from_crops(faces, count) if image is None else thumbnails(tensors.to_core(image[:count])[0])
    files = ui.ImageSaveHelper.save_images(
        tensors.to_host(pictures).float(), "codeformer_faces", io.FolderType.temp, cls=None, compress_level=1
    )
    result: list[dict[str, Any]] = [{"image": file, "faces": []} for file in files]
    for candidate in list_candidates(faces.faces, faces.image_size, reasons):
        if candidate.image_index < count:
            result[candidate.image_index]["faces"].append(asdict(candidate))
    return {"codeformer_faces": result}


def _max_size_input() -> io.Input:
    """The widget has a type and a name of its own: as an option, `max_size` is the whole number `largest` of Fix Faces."""
    return io.Float.Input(
        "max_size",
        display_name="largest size",
        default=0.0,
        min=0.0,
        max=16384,
        step=1.0,
        advanced=True,
        tooltip="Leaves larger faces alone: the box's longer side in pixels. 0 is no limit.",
    )


def _sharpness(faces: AlignedFaces, image: Tensor | None) -> list[float]:
    """The sharpness of each face, in the images where they are given, else in the crops."""
    if image is None:
        return measure_crop_sharpness(faces.originals)
    images, _ = tensors.to_core(image)
    height, width = images.shape[-2:]
    return measure_sharpness(images, scale_faces(faces.faces, faces.image_size, len(images), (height, width)))


class CodeFormerFaceSelect(io.ComfyNode):
    """Selects among aligned faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFaceSelect",
            display_name="Select Faces",
            category=inputs.CATEGORY,
            description="Keeps the faces that are to be repaired, in every picture by itself, and says why it leaves the "
            "others alone. After a run it shows the pictures: click a face to switch it on or off.",
            search_aliases=["codeformer", "choose face", "filter faces", "largest face", "face index", "pick face", "人脸选择"],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces to choose from. Connect Detect Faces."),
                *inputs.widgets("order", of=Selection()),
                io.String.Input(
                    "numbers",
                    default="",
                    placeholder="1, 3",
                    tooltip="Only the faces with these numbers, counted from 1 in that order, for example 1, 3. Empty for all. "
                    "A click on a face below changes it.",
                ),
                *inputs.widgets("first", "count", "min_size", of=Selection()),
                _max_size_input(),
                *inputs.widgets(
                    *("min_percent", "max_percent", "confidence", "sharpness", "inside", "duplicates"), of=Selection()
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Only faces in its white part are kept: one mask, or one for each picture, of any size.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The pictures that the faces were found in, to see them in. The sharpness, too, is measured more "
                    "exactly in them than in the crops.",
                ),
            ],
            outputs=[
                inputs.faces_output(),
                io.String.Output("report", tooltip="What was kept, and what was left alone and why, a line for each face."),
                inputs.count_output(),
                inputs.saved_output(),
            ],
            is_output_node=True,  # so that it can be run by itself, to see the faces before the work
        )

    @classmethod
    def execute(
        cls,
        faces: AlignedFaces,
        numbers: str,
        mask: Tensor | None = None,
        image: Tensor | None = None,
        **values: Any,
    ) -> io.NodeOutput:
        """Select, report, and send the thumbnails to the browser."""
        wanted = replace(
            inputs.chosen(values, of=Selection()), numbers=tuple(int(number) for number in inputs.listed(numbers, whole=True))
        )
        kept, reasons = select_rows(
            faces.faces,
            faces.image_size,
            wanted,
            mask=None if mask is None else tensors.from_mask(mask),
            sharpness=_sharpness(faces, image) if wanted.sharpness else None,
        )
        skipped = [Skipped(faces.faces[row], why) for row, why in reasons.items()]
        text = report([faces.faces[row] for row in kept], skipped)
        progress.log_and_show(text)
        chosen = faces.subset(kept)
        shown = picker_ui(faces, reasons, image)
        return io.NodeOutput(chosen, text, len(chosen), to_json(chosen.faces, chosen.image_size), ui=shown)


NODES = [CodeFormerFaceSelect]
