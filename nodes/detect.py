"""Detect Faces: detects the faces of images and aligns them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from comfy_api.latest import io, ui
from torch import Tensor

from ..codeformer_core import align, pipeline
from ..codeformer_core.detection.external import locate_landmarks, read_bounding_boxes, read_host_landmarks, scale_faces
from ..codeformer_core.detection.faces_json import from_json, to_json
from ..codeformer_core.faces import Face
from ..codeformer_core.imaging import overlay
from ..codeformer_core.options import DetectionOptions, FixOptions, Selection
from ..codeformer_core.selection.report import summarize
from . import inputs
from .host import networks, progress, tensors


def per_image(faces: Sequence[Face], count: int) -> list[list[dict[str, Any]]]:
    """Faces of `count` images as BOUNDING_BOX in the host's shape: a list of boxes per image."""
    frames: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for face in faces:
        x0, y0, x1, y1 = face.box
        box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": "face", "score": face.score}
        frames[face.image_index].append(box)
    return frames


class _Known(NamedTuple):
    """A detector whose faces are known."""

    faces: list[Face]

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """These faces."""
        return self.faces


def _given(images: Tensor, landmarks: Any, saved: str | None) -> list[Face] | None:
    """Faces given from outside, scaled to the images; None when they are to be detected."""
    if landmarks is None and not saved:
        return None
    faces, found_in = from_json(saved) if saved else read_host_landmarks(landmarks)
    return scale_faces(faces, found_in, len(images), (images.shape[-2], images.shape[-1]))


class CodeFormerFaceDetect(io.ComfyNode):
    """From images to aligned faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFaceDetect",
            display_name="Detect Faces",
            category=inputs.CATEGORY,
            description="Finds the faces in every picture and cuts them out upright, ready for CodeFormer Restore.",
            search_aliases=[
                "face detection",
                "find faces",
                "crop face",
                "cropface",
                "align face",
                "bbox",
                "codeformer",
                "人脸检测",
            ],
            inputs=[
                io.Image.Input("image", tooltip="One picture or several, for example the frames of a video."),
                *inputs.widgets("choice", of=Selection()),
                *inputs.widgets("side", "confidence", "overlap", "eye_distance", of=DetectionOptions()),
                inputs.detector_input(optional=True),
                *inputs.widgets("rotated", "tile", of=DetectionOptions(), optional=True),
                io.BoundingBox.Input(
                    "bboxes",
                    optional=True,
                    force_input=True,
                    tooltip="Boxes around the faces, from any node that gives boxes. Only these are looked into.",
                ),
                inputs.Landmarks.Input(
                    "landmarks",
                    optional=True,
                    tooltip="Faces that MediaPipe Face Landmarker has found. They are taken as they are; no detector is "
                    "needed.",
                ),
                io.String.Input(
                    "saved",
                    optional=True,
                    force_input=True,
                    tooltip="Faces as the text that Detect Faces or Select Faces gave. They are taken as they are; no detector "
                    "is needed.",
                ),
            ],
            outputs=[
                inputs.faces_output(),
                io.BoundingBox.Output("bboxes", tooltip="A box around each face, a list for each picture."),
                inputs.count_output(),
                io.Image.Output("preview", tooltip="The pictures with what was found drawn in."),
                inputs.saved_output("saved_faces"),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        choice: str,
        detector: networks.HostedDetector | None = None,
        bboxes: Any = None,
        landmarks: Any = None,
        saved: str | None = None,
        **values: Any,
    ) -> io.NodeOutput:
        """Find, choose, cut out."""
        images, _ = tensors.to_core(image)
        detection = inputs.chosen(values, of=DetectionOptions())
        if sum(bool(source) for source in (bboxes, landmarks, saved)) > 1:
            raise ValueError("Found several of bboxes, landmarks and saved faces. Expected one of them: disconnect the others.")
        faces, notes = _given(images, landmarks, saved), []
        if faces is None and detector is None:
            raise ValueError("Found no face detector and no faces from elsewhere. Connect Load Face Detector.")
        if faces is None and bboxes is not None:
            regions = read_bounding_boxes(bboxes, len(images), (images.shape[-2], images.shape[-1]))
            faces, notes = locate_landmarks(images, regions, detector, detection)
        if faces is not None:
            detector, detection = _Known(faces), replace(detection, rotated=False, tile=0)
        kept, skipped = pipeline.detect(images, detector, FixOptions(detection=detection, selection=Selection(choice=choice)))
        progress.log_and_show(" ".join([summarize(len(kept), skipped), *notes[:3]]))
        aligned = align.align(images, kept)
        drawn = tensors.to_host(overlay.draw_faces(images, kept, skipped))
        boxes, text = per_image(kept, len(images)), to_json(kept, aligned.image_size)
        return io.NodeOutput(aligned, boxes, len(kept), drawn, text, ui=ui.PreviewImage(drawn, cls=cls))


NODES = [CodeFormerFaceDetect]
