"""CodeFormer Colorize: grey faces in, faces with colours out."""

from comfy_api.latest import io

from ..codeformer_core import restoration
from ..codeformer_core.faces import AlignedFaces
from . import inputs
from .host import networks, progress, tensors


class CodeFormerColorize(io.ComfyNode):
    """Aligned faces to coloured ones."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerColorize",
            display_name="CodeFormer Colorize",
            category=inputs.CATEGORY,
            description="Gives colours to faces of black-and-white or faded pictures. Paste Faces Back puts them into the "
            "picture.",
            search_aliases=[
                "codeformer",
                "colorize face",
                "colourise",
                "old photo",
                "black and white",
                "recolor",
                "人脸上色",
                "黑白上色",
            ],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces to colour. Connect Detect Faces or CodeFormer Restore."),
                inputs.model_input("The network that colours faces. Connect Load CodeFormer with codeformer_colorization.pth."),
                io.Boolean.Input(
                    "keep_luminance",
                    display_name="keep the light",
                    default=False,
                    tooltip="Takes only the hues from the network and keeps the light of the picture, so that no seam shows. "
                    "For exactly the picture's light, turn on keep detail in Paste Faces Back too.",
                ),
            ],
            outputs=[
                inputs.Faces.Output("coloured", display_name="faces", tooltip="The coloured faces. Connect Paste Faces Back."),
                inputs.crops_output("The coloured faces"),
            ],
        )

    @classmethod
    def execute(cls, faces: AlignedFaces, model: networks.HostedRestorer, keep_luminance: bool) -> io.NodeOutput:
        """Colour every face."""
        coloured = restoration.colorize(
            faces, model, keep_luminance=keep_luminance, batch=model.batch, tick=progress.progress()
        )
        return io.NodeOutput(coloured, tensors.image_or_blocker(coloured.crops))


NODES = [CodeFormerColorize]
