"""Detect Faces: find the faces of pictures and cut them out upright."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from comfy_api.latest import io, ui
from torch import Tensor

from ..codeformer_core import align, pipeline, preview
from ..codeformer_core.faces import DetectionOptions, Face
from ..codeformer_core.locate import locate
from ..codeformer_core.report import account
from ..codeformer_core.saved import from_json, to_json
from ..codeformer_core.search import Rotated, Tiled
from ..codeformer_core.selection import CHOICES
from ..codeformer_core.sources import fitted, from_bounding_boxes, from_host_landmarks
from . import host, hosted, sockets


def per_picture(faces: Sequence[Face], count: int) -> list[list[dict[str, Any]]]:
    """Faces of `count` pictures as BOUNDING_BOX in the host's shape: a list of boxes per picture."""
    frames: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    for face in faces:
        x0, y0, x1, y1 = face.box
        box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": "face", "score": face.score}
        frames[face.image_index].append(box)
    return frames


class _Known(NamedTuple):
    """A detector that need not search."""

    faces: list[Face]

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """These faces."""
        return self.faces


def _given(images: Tensor, landmarks: Any, saved: str | None) -> list[Face] | None:
    """The faces that somebody else found, fitted to the pictures; None when they are to be searched."""
    if landmarks is None and not saved:
        return None
    faces, found_in = from_json(saved) if saved else from_host_landmarks(landmarks)
    return fitted(faces, found_in, len(images), (images.shape[-2], images.shape[-1]))


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
                sockets.choice_input(),
                *sockets.detection_inputs(),
                sockets.detector_input(optional=True),
                io.Boolean.Input(
                    "rotated",
                    display_name="turned faces",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Also finds faces that lie on their side or stand on their head. Takes four times as long.",
                ),
                io.Int.Input(
                    "tile",
                    display_name="search in tiles of",
                    default=0,
                    min=0,
                    max=4096,
                    step=64,
                    optional=True,
                    advanced=True,
                    tooltip="Also searches the picture in pieces of this many pixels, each enlarged to the search size: finds "
                    "tiny faces in large pictures. 640 suits group photos; 0 turns it off.",
                ),
                io.BoundingBox.Input(
                    "bboxes",
                    optional=True,
                    force_input=True,
                    tooltip="Boxes around the faces, from any node that gives boxes. Only these are looked into.",
                ),
                sockets.Landmarks.Input(
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
                sockets.faces_output(),
                io.BoundingBox.Output("bboxes", tooltip="A box around each face, a list for each picture."),
                sockets.count_output(),
                io.Image.Output("preview", tooltip="The pictures with what was found drawn in."),
                sockets.saved_output("saved_faces"),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        choice: str,
        side: int,
        confidence: float,
        overlap: float,
        eye_distance: float,
        detector: hosted.HostedDetector | None = None,
        rotated: bool = False,
        tile: int = 0,
        bboxes: Any = None,
        landmarks: Any = None,
        saved: str | None = None,
    ) -> io.NodeOutput:
        """Find, choose, cut out."""
        images, _ = host.to_core(image)
        options = DetectionOptions(side, confidence, overlap, eye_distance)
        if sum(bool(source) for source in (bboxes, landmarks, saved)) > 1:
            raise ValueError("Found several of bboxes, landmarks and saved faces. Expected one of them: disconnect the others.")
        faces, notes = _given(images, landmarks, saved), []
        if faces is None and detector is None:
            raise ValueError("Found no face detector and no faces from elsewhere. Connect Load Face Detector.")
        if faces is None and bboxes is not None:
            regions = from_bounding_boxes(bboxes, len(images), (images.shape[-2], images.shape[-1]))
            faces, notes = locate(images, regions, detector, options)
        search = Tiled(detector, tile) if tile else detector
        search = Rotated(search) if rotated else search
        kept, skipped = pipeline.detect(images, search if faces is None else _Known(faces), options, CHOICES[choice])
        host.say(" ".join([account(len(kept), skipped), *notes[:3]]))
        aligned = align.align(images, kept)
        drawn = host.to_host(preview.preview(images, kept, skipped))
        boxes, text = per_picture(kept, len(images)), to_json(kept, aligned.image_size)
        return io.NodeOutput(aligned, boxes, len(kept), drawn, text, ui=ui.PreviewImage(drawn, cls=cls))


NODES = [CodeFormerFaceDetect]
