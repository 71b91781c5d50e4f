"""CodeFormer Colorize: grey faces in, coloured faces out."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import restoration
from ..codeformer_core.background.colouring import blend_hues, colour_images
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
                inputs.Background.Input(
                    "background_model",
                    optional=True,
                    tooltip="Gives colours to the whole image too, and the faces fade into them. Connect Load Background Model "
                    "with ddcolor_modelscope.pth.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Only needed with a background model: the images that the faces were found in.",
                ),
            ],
            outputs=[
                inputs.Faces.Output("coloured", display_name="faces", tooltip="The coloured faces. Connect Paste Faces Back."),
                inputs.CROPS_OUTPUT,
                io.Image.Output(
                    "coloured_image",
                    display_name="image",
                    tooltip="With a background model: the coloured images, for Paste Faces Back. Else the image that came in.",
                ),
            ],
        )

    @classmethod
    @completed
    def execute(
        cls,
        faces: AlignedFaces,
        model: networks.HostedRestorer,
        keep_luminance: bool = False,
        background_model: networks.HostedBackground | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        tick = progress.progress()
        photo = inputs.whole_image(background_model, image, "colorization")
        coloured = restoration.colorize(faces, model, keep_luminance=keep_luminance, batch=model.batch, tick=tick)
        if background_model is not None and photo is not None:
            images, alpha = tensors.to_core(photo)
            painted = colour_images(images, background_model, tick)
            coloured, photo = blend_hues(coloured, painted, keep_luminance), tensors.to_host(painted, alpha)
        return io.NodeOutput(coloured, tensors.image_or_blocker(coloured.crops), tensors.given_or_blocker(photo))
