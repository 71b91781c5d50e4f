"""Select Faces by Person: the faces of one person, or of everyone else."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.faces import AlignedFaces, Skipped
from ..codeformer_core.options import Selection
from ..codeformer_core.selection.report import report
from ..codeformer_core.selection.select import select_rows
from . import inputs
from .host import networks, progress
from .host.execution import completed


class CodeFormerSelectPerson(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerSelectPerson",
            display_name="Select Faces by Person",
            category=inputs.CATEGORY,
            description="Keeps the faces of the person in a photo, in every image, or those of everyone else. Runs on the CPU "
            "and needs two packages: pip install dlib-bin face_recognition_models.",
            search_aliases=[
                "codeformer",
                "face recognition",
                "same person",
                "identity",
                "face similarity",
                "人脸识别",
                "同一个人",
            ],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces to choose from. Connect Detect Faces."),
                io.Image.Input(
                    "person",
                    tooltip="A photo of the person: one face, large and seen from the front. Several images are several "
                    "photos, of one person or of several.",
                ),
                inputs.Detector.Input(
                    "detector", tooltip="Finds the face in the photo of the person. Connect Load Face Detector."
                ),
                *inputs.widgets("distance", "others", of=Selection()),
            ],
            outputs=[
                inputs.FACES_OUTPUT,
                io.String.Output("report", tooltip="How far each face is from the person, a line for each face."),
                inputs.COUNT_OUTPUT,
            ],
        )

    @classmethod
    @completed
    def execute(cls, faces: AlignedFaces, person: Tensor, detector: networks.HostedDetector, **values: Any) -> io.NodeOutput:
        measured = inputs.people(person, detector).measured_crops(faces)
        kept, reasons = select_rows(measured.faces, faces.image_size, inputs.chosen(values, of=Selection(duplicates=True)))
        selected = measured.subset(sorted(kept))
        text = report(selected.faces, [Skipped(measured.faces[row], why) for row, why in reasons.items()])
        progress.log_and_show(text)
        return io.NodeOutput(selected, text, len(selected))
