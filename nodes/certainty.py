"""Face Certainty: where a restored face is invented."""

from comfy_api.latest import io, ui
from torch import Tensor

from ..codeformer_core import certainty, preview
from ..codeformer_core.faces import AlignedFaces
from . import host, hosted, sockets


class CodeFormerCertainty(io.ComfyNode):
    """Aligned faces to a map over the pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerCertainty",
            display_name="Face Certainty",
            category=sockets.CATEGORY,
            description="Shows where the network had to guess what a face looks like. What it guessed proves nothing about the "
            "person.",
            search_aliases=["codeformer", "confidence map", "heatmap", "hallucination", "invented", "uncertainty"],
            inputs=[
                io.Image.Input("image", tooltip="The pictures that the faces were found in, or the repaired ones."),
                sockets.Faces.Input("faces", tooltip="The faces. Connect Detect Faces."),
                sockets.model_input(),
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
    def execute(cls, image: Tensor, faces: AlignedFaces, model: hosted.HostedRestorer) -> io.NodeOutput:
        """Ask the network, lay its answer over the pictures."""
        images, _ = host.to_core(image)
        maps = certainty.invented(faces, model, model.batch, host.progress())
        guessed, covered = certainty.over_pictures(maps, faces, (len(images), *images.shape[-2:]))
        heat = host.to_host(preview.heat(images, guessed, covered))
        return io.NodeOutput(host.to_mask(guessed), heat, ui=ui.PreviewImage(heat, cls=cls))


NODES = [CodeFormerCertainty]
