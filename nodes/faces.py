"""Detect Faces: find the faces of pictures and cut them out upright."""

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..codeformer_core import align, pipeline, preview
from ..codeformer_core.faces import DetectionOptions, Face, Skipped
from ..codeformer_core.selection import CHOICES
from . import host, hosted, sockets


def account(found: int, skipped: Sequence[Skipped]) -> str:
    """What happened, in a sentence for the user."""
    faces = {0: "No face found: the picture stays as it is", 1: "1 face found"}.get(found, f"{found} faces found")
    if not skipped:
        return f"{faces}."
    reasons = list(dict.fromkeys(entry.reason for entry in skipped))
    return f"{faces}. Left alone: {len(skipped)} ({'; '.join(reasons[:3])})."


def per_picture(faces: Sequence[Face], count: int) -> list[list[dict[str, Any]]]:
    """Faces of `count` pictures as BOUNDING_BOX in the host's shape: a list of boxes per picture."""
    frames: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for face in faces:
        x0, y0, x1, y1 = face.box
        box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": "face", "score": face.score}
        frames[face.image_index].append(box)
    return frames


class CodeFormerFaceDetect(io.ComfyNode):
    """Pictures to aligned faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFaceDetect",
            display_name="Detect Faces",
            category=sockets.CATEGORY,
            description="Finds the faces in every picture and cuts them out upright, ready for CodeFormer Restore.",
            search_aliases=["face detection", "find faces", "crop face", "cropface", "align face", "bbox", "codeformer"],
            inputs=[
                io.Image.Input("image", tooltip="One picture or several, for example the frames of a video."),
                sockets.detector_input(),
                sockets.choice_input(),
                *sockets.detection_inputs(),
            ],
            outputs=[
                sockets.faces_output(),
                io.BoundingBox.Output("bboxes", tooltip="A box around each face, a list for each picture."),
                sockets.count_output(),
                io.Image.Output("preview", tooltip="The pictures with what was found drawn in."),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        detector: hosted.HostedDetector,
        choice: str,
        side: int,
        confidence: float,
        overlap: float,
        eye_distance: float,
    ) -> io.NodeOutput:
        """Find, choose, cut out."""
        images, _ = host.to_core(image)
        options = DetectionOptions(side, confidence, overlap, eye_distance)
        kept, skipped = pipeline.detect(images, detector, options, CHOICES[choice])
        host.say(account(len(kept), skipped))
        drawn = host.to_host(preview.preview(images, kept, skipped))
        boxes = per_picture(kept, len(images))
        return io.NodeOutput(align.align(images, kept), boxes, len(kept), drawn, ui=ui.PreviewImage(drawn, cls=cls))


NODES = [CodeFormerFaceDetect]
