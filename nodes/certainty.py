"""Face Certainty: where a restored face is invented."""

from comfy_api.latest import io, ui
from torch import Tensor

from ..codeformer_core import certainty
from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.imaging import overlay
from . import inputs
from .host import networks, progress, tensors


class CodeFormerCertainty(io.ComfyNode):
    """From aligned faces to a map of certainty over the images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerCertainty",
            display_name="Face Certainty",
            category=inputs.CATEGORY,
            description="Shows where the network had to guess what a face looks like. What it guessed proves nothing about the "
            "person.",
            search_aliases=["codeformer", "confidence map", "heatmap", "hallucination", "invented", "uncertainty"],
            inputs=[
                io.Image.Input("image", tooltip="The pictures that the faces were found in, or the repaired ones."),
                inputs.Faces.Input("faces", tooltip="The faces. Connect Detect Faces."),
                inputs.model_input(),
            ],
            outputs=[
                io.Mask.Output(
                    "invented", tooltip="White where a face is a guess, black where it is sure or there is no face."
                ),
                io.Image.Output(
                    "heat", tooltip="The pictures with the faces in green where they are sure and red where guessed."
                ),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(cls, image: Tensor, faces: AlignedFaces, model: networks.HostedRestorer) -> io.NodeOutput:
        """Compute the certainty of each crop, and warp it into the images."""
        images, _ = tensors.to_core(image)
        maps = certainty.uncertainty_maps(faces, model, model.batch, progress.progress())
        guessed, covered = certainty.paste_maps(maps, faces, (len(images), *images.shape[-2:]))
        heat = tensors.to_host(overlay.draw_heatmap(images, guessed, covered))
        return io.NodeOutput(tensors.to_mask(guessed), heat, ui=ui.PreviewImage(heat, cls=cls))


NODES = [CodeFormerCertainty]
