"""Fidelity Sweep: one face with several fidelities side by side."""

from comfy_api.latest import io, ui

from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.fidelity import sweep
from ..codeformer_core.imaging import overlay
from . import inputs
from .host import networks, progress, tensors


class CodeFormerFidelitySweep(io.ComfyNode):
    """From aligned faces to the crops of one face, one for each fidelity."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFidelitySweep",
            display_name="Fidelity Sweep",
            category=inputs.CATEGORY,
            description="Repairs one face with several fidelities, to choose from. Much quicker than repairing it as many "
            "times: the face is looked at once and drawn for each.",
            search_aliases=["codeformer", "fidelity", "codeformer weight", "compare fidelity", "xy plot"],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces. Connect Detect Faces."),
                inputs.model_input(),
                io.String.Input(
                    "fidelities",
                    default="0, 0.25, 0.5, 0.75, 1",
                    tooltip="The fidelities to try, each from 0 (the cleanest face) to 1 (closest to the person).",
                ),
                io.Int.Input(
                    "number",
                    display_name="face number",
                    default=1,
                    min=1,
                    max=10000,
                    tooltip="Which face, counted from 1 over all pictures.",
                ),
                *inputs.widgets("match_style", "grey"),
            ],
            outputs=[
                io.Image.Output(
                    "labelled", tooltip="The face with each fidelity, which is written on it. Without a face nothing comes out."
                ),
                io.Image.Output("crops", tooltip="The same without the writing."),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls, faces: AlignedFaces, model: networks.HostedRestorer, fidelities: str, number: int, match_style: bool, grey: str
    ) -> io.NodeOutput:
        """Restore one face with each fidelity."""
        if not len(faces):
            progress.log_and_show("No face: nothing to try.")
            return io.NodeOutput(tensors.image_or_blocker(faces.crops), tensors.image_or_blocker(faces.crops))
        values = inputs.listed(fidelities)
        crops = sweep(faces, model, number, values, match_style=match_style, grey=grey)
        labelled = tensors.to_host(overlay.draw_labels(crops, [f"w = {value:g}" for value in values]))
        return io.NodeOutput(labelled, tensors.to_host(crops), ui=ui.PreviewImage(labelled, cls=cls))


NODES = [CodeFormerFidelitySweep]
