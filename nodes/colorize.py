"""CodeFormer Colorize: grey faces in, coloured faces out."""

from comfy_api.latest import io

from ..codeformer_core import restoration
from ..codeformer_core.faces import AlignedFaces
from . import inputs
from .host import networks, progress, tensors
from .host.execution import completed


class CodeFormerColorize(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerColorize",
            display_name="CodeFormer Colorize",
            category=inputs.CATEGORY,
            description="Colours the faces of black-and-white or faded images. Paste Faces Back puts them into the image.",
            search_aliases=["colorize face", "colourise", "old photo", "black and white", "recolor", "人脸上色", "黑白上色"],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces to colour. Connect Detect Faces or CodeFormer Restore."),
                inputs.Model.Input(
                    "model", tooltip="The network that colours faces. Connect Load CodeFormer with codeformer_colorization.pth."
                ),
                io.Boolean.Input(
                    "keep_luminance",
                    display_name="keep the light",
                    default=False,
                    optional=True,
                    tooltip="Takes only the hues from the network and keeps the light of the image, so that no seam shows. "
                    "For exactly the image's light, turn on keep detail in Paste Faces Back too.",
                ),
            ],
            outputs=[
                inputs.Faces.Output("coloured", display_name="faces", tooltip="The coloured faces. Connect Paste Faces Back."),
                inputs.CROPS_OUTPUT,
            ],
        )

    @classmethod
    @completed
    def execute(cls, faces: AlignedFaces, model: networks.HostedRestorer, keep_luminance: bool) -> io.NodeOutput:
        coloured = restoration.colorize(
            faces, model, keep_luminance=keep_luminance, batch=model.batch, tick=progress.progress()
        )
        return io.NodeOutput(coloured, tensors.image_or_blocker(coloured.crops))
