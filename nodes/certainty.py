"""Face Certainty: where a restored face is invented."""

from comfy_api.latest import io, ui
from torch import Tensor

from ..codeformer_core import certainty
from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.imaging import overlay
from . import inputs
from .host import networks, progress, tensors
from .host.execution import completed


class CodeFormerCertainty(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerCertainty",
            display_name="Face Certainty",
            category=inputs.CATEGORY,
            description="Shows where the network had to guess what a face looks like. A guess proves nothing about the person.",
            search_aliases=["codeformer", "confidence map", "heatmap", "hallucination", "invented", "uncertainty"],
            inputs=[
                io.Image.Input("image", tooltip="The images that the faces were found in, or the repaired ones."),
                inputs.Faces.Input("faces", tooltip="The faces. Connect Detect Faces."),
                inputs.MODEL,
            ],
            outputs=[
                io.Mask.Output(
                    "invented", tooltip="White where a face is a guess, black where it is certain or outside faces."
                ),
                io.Image.Output(
                    "heat", tooltip="The images with the faces in green where they are certain, red where guessed."
                ),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    @completed
    def execute(cls, image: Tensor, faces: AlignedFaces, model: networks.HostedRestorer) -> io.NodeOutput:
        images, _ = tensors.to_core(image)
        batch, _, height, width = images.shape
        maps = certainty.uncertainty_maps(faces, model, model.batch, progress.progress())
        guessed, covered = certainty.paste_maps(maps, faces, (batch, height, width))
        heat = tensors.to_host(overlay.draw_heatmap(images, guessed, covered))
        return io.NodeOutput(tensors.to_mask(guessed), heat, ui=ui.PreviewImage(heat, cls=cls))
