"""Select Faces, and what it sends to its widget in the browser (web/js/faces.js): thumbnails, and the faces in them."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.detection.external import scale_faces
from ..codeformer_core.detection.faces_json import to_json
from ..codeformer_core.faces import AlignedFaces, Skipped
from ..codeformer_core.options import Selection
from ..codeformer_core.selection.candidates import LARGEST, list_candidates, thumbnails_from_crops
from ..codeformer_core.selection.report import report
from ..codeformer_core.selection.select import select_rows
from ..codeformer_core.selection.sharpness import measure_crop_sharpness, measure_sharpness
from . import inputs
from .host import language, previews, progress, tensors
from .host.execution import completed

#: Of a longer batch, such as the frames of a video, the faces in the images beyond are shown without the images.
MAX_THUMBNAILS = 32

#: Below the node, whose image has every face; Nodes 2.0 lets a longer text cover the node beneath.
SHOWN_REASONS = 3

log = logging.getLogger(__name__)


class CodeFormerFaceSelect(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFaceSelect",
            display_name="Select Faces",
            category=inputs.CATEGORY,
            description="Keeps the faces that are to be repaired, in each image by itself, and says why it leaves the others "
            "alone. After a run it shows the images: click a face to switch it on or off, or to give it its own fidelity.",
            search_aliases=["codeformer", "choose face", "filter faces", "largest face", "face index", "pick face", "人脸选择"],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces to choose from. Connect Detect Faces."),
                *inputs.widgets("order", of=Selection()),
                io.String.Input(
                    "numbers",
                    default="",
                    optional=True,
                    placeholder="1, 3",
                    tooltip="Only the faces with these numbers, counted from 1 in that order, for example 1, 3. Empty for all. "
                    "1: 2; 2: 1, 3 chooses in each image by itself, and 0 none. Clicks on the faces below write it.",
                ),
                *inputs.widgets("first", "count", "min_size", of=Selection()),
                # Not from the options, where `max_size` has the widget of Fix Faces: the whole number `largest`.
                io.Float.Input(
                    "max_size",
                    display_name="largest size",
                    default=0.0,
                    optional=True,
                    min=0.0,
                    max=16384,
                    step=1.0,
                    advanced=True,
                    tooltip="Leaves larger faces alone: the box's longer side in pixels. 0 is no limit.",
                ),
                *inputs.widgets("min_percent", "max_percent", "confidence", of=Selection()),
                *inputs.widgets("sharpness", "inside", "duplicates", of=Selection()),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Only faces in its white part are kept: one mask, or one per image, of any size.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The images that the faces were found in, to show the faces in them. Sharpness is measured more "
                    "accurately in them than in the crops.",
                ),
            ],
            outputs=[
                inputs.FACES_OUTPUT,
                io.String.Output("report", tooltip="What was kept, and what was left alone and why, a line for each face."),
                inputs.COUNT_OUTPUT,
                inputs.saved_output("saved"),
            ],
            is_output_node=True,  # so that it can be run by itself, to see the faces before the work
        )

    @classmethod
    @completed
    def execute(
        cls, faces: AlignedFaces, numbers: str, mask: Tensor | None = None, image: Tensor | None = None, **values: Any
    ) -> io.NodeOutput:
        images = None if image is None else tensors.to_core(image)[0]
        everywhere, own = inputs.parse_face_numbers(numbers)
        wanted = replace(inputs.chosen(values, of=Selection()), numbers=everywhere)
        area, note = tensors.mask_over(faces.image_size, mask)
        choose = partial(
            select_rows,
            faces.faces,
            faces.image_size,
            mask=area,
            sharpness=_sharpness(faces, images) if wanted.sharpness else None,
        )
        kept, reasons = choose(wanted, numbers=own)
        selected = faces.subset(kept)
        left_alone = [Skipped(faces.faces[row], why) for row, why in reasons.items()]
        text = report(selected.faces, left_alone)
        log.info("%s %s", text, note)
        progress.show(report(selected.faces, left_alone, kept_lines=0, skipped_lines=SHOWN_REASONS), note)
        _, limits = choose(replace(wanted, numbers=(), first=1, count=0))  # the widget itself counts
        said = {row: language.translate(why) for row, why in limits.items() if row not in kept}
        shown = {"codeformer_faces": _shown(faces, said, images)}
        return io.NodeOutput(selected, text, len(selected), to_json(selected.faces, selected.image_size), ui=shown)


def _sharpness(faces: AlignedFaces, images: Tensor | None) -> list[float]:
    """The sharpness of each face, in the images (B, 3, H, W) where they are given, else in the crops."""
    if images is None:
        return measure_crop_sharpness(faces.originals)
    height, width = images.shape[-2:]
    return measure_sharpness(images, scale_faces(faces.faces, faces.image_size, len(images), (height, width)))


def _shown(faces: AlignedFaces, reasons: Mapping[int, str], images: Tensor | None) -> list[dict[str, Any]]:
    """For each image the file of its thumbnail, or None, and its faces as `selection.candidates.Candidate`.

    Args:
        faces: all of them, before the selection.
        reasons: row of a face that a limit leaves out -> why.
        images: (B, 3, H, W), that they were detected in, or None: then the thumbnails show only the crops, in their places.
    """
    count = max([0 if images is None else len(images), *(face.image_index + 1 for face in faces.faces)])
    if not count:
        return []
    small = thumbnails_from_crops(faces, min(count, MAX_THUMBNAILS)) if images is None else images[:MAX_THUMBNAILS]
    files = dict(enumerate(previews.save_previews(small, LARGEST)))
    result: list[dict[str, Any]] = [{"image": files.get(index), "faces": []} for index in range(count)]
    for candidate in list_candidates(faces.faces, faces.image_size, reasons):
        result[candidate.image_index]["faces"].append(asdict(candidate))
    return result
