"""Detect Faces: detects the faces of images and aligns them."""

from collections.abc import Sequence
from typing import Any

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
from .host.execution import completed


class CodeFormerFaceDetect(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFaceDetect",
            display_name="Detect Faces",
            category=inputs.CATEGORY,
            description="Finds the faces in every image and cuts them out upright, ready for CodeFormer Restore.",
            search_aliases=["face detection", "find faces", "crop face", "cropface", "align face", "bbox", "人脸检测"],
            inputs=[
                io.Image.Input("image", tooltip="One image or several, for example the frames of a video."),
                *inputs.widgets("choice", of=Selection()),
                *inputs.widgets("side", "confidence", "overlap", "eye_distance", of=DetectionOptions()),
                inputs.Detector.Input("detector", optional=True, tooltip=inputs.DETECTOR.tooltip),
                *inputs.widgets("rotated", "tile", of=DetectionOptions()),
                io.BoundingBox.Input(
                    "bboxes",
                    optional=True,
                    force_input=True,
                    tooltip="Boxes around the faces, from any node that outputs boxes. Only these are searched.",
                ),
                inputs.Landmarks.Input(
                    "landmarks",
                    optional=True,
                    tooltip="Faces from MediaPipe Face Landmarker, used as they are; no detector is needed.",
                ),
                io.String.Input(
                    "saved",
                    optional=True,
                    force_input=True,
                    tooltip="Faces as text from Detect Faces or Select Faces, used as they are; no detector is needed.",
                ),
                *inputs.widgets("sampling"),
            ],
            outputs=[
                inputs.FACES_OUTPUT,
                io.BoundingBox.Output("bboxes", tooltip="A box around each face, a list for each image."),
                inputs.COUNT_OUTPUT,
                io.Image.Output("preview", tooltip="The images with the detected faces drawn in."),
                inputs.saved_output("saved_faces"),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    @completed
    def execute(
        cls,
        image: Tensor,
        choice: str,
        detector: networks.HostedDetector | None = None,
        bboxes: Any = None,
        landmarks: Any = None,
        saved: str | None = None,
        sampling: str = "exact",
        **values: Any,
    ) -> io.NodeOutput:
        if sum(bool(source) for source in (bboxes, landmarks, saved)) > 1:
            raise ValueError("Found several of bboxes, landmarks and saved faces. Expected one of them: disconnect the others.")
        images, _ = tensors.to_core(image)
        size = (images.shape[-2], images.shape[-1])
        options = FixOptions(detection=inputs.chosen(values, of=DetectionOptions()), selection=Selection(choice=choice))
        notes: list[str] = []
        if saved or landmarks is not None:
            faces, found_in = from_json(saved) if saved else read_host_landmarks(landmarks)
            kept, skipped = pipeline.select_faces(images, scale_faces(faces, found_in, len(images), size), options)
        elif detector is None:
            raise ValueError("Found no face detector, and no saved faces or landmarks. Connect Load Face Detector.")
        elif bboxes is not None:
            regions = read_bounding_boxes(bboxes, len(images), size)
            faces, notes = locate_landmarks(images, regions, detector, options.detection)
            kept, skipped = pipeline.select_faces(images, faces, options)
        else:
            kept, skipped = pipeline.detect(images, detector, options)
        progress.log_and_show(" ".join([summarize(len(kept), skipped), *notes[:3]]))
        aligned = align.align(images, kept, sampling=sampling)
        drawn = tensors.to_host(overlay.draw_faces(images, kept, skipped))
        boxes, text = bounding_boxes(kept, len(images)), to_json(kept, aligned.image_size)
        return io.NodeOutput(aligned, boxes, len(kept), drawn, text, ui=ui.PreviewImage(drawn, cls=cls))


def bounding_boxes(faces: Sequence[Face], count: int) -> list[list[dict[str, Any]]]:
    """Faces of `count` images as BOUNDING_BOX in the host's shape: a list of boxes per image."""
    frames: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for face in faces:
        x0, y0, x1, y1 = face.box
        box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": "face", "score": face.score}
        frames[face.image_index].append(box)
    return frames
