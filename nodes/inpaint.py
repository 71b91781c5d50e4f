"""CodeFormer Inpaint: fills holes in aligned faces."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import restoration
from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.masks import holes
from . import inputs
from .host import networks, progress, tensors


def _holes(mask: Tensor | None, image: Tensor | None, tolerance: int) -> Tensor:
    """Holes (B, 1, h, w) from a MASK, or else from the white strokes of an IMAGE."""
    if mask is not None:
        return tensors.from_mask(mask)
    if image is None:
        raise ValueError(
            "Found neither a mask nor a picture, so nobody says what is to be filled. Connect a mask, or the picture with "
            "white brush strokes."
        )
    return holes.white_brush_mask(tensors.to_core(image)[0], tolerance / 255)


class CodeFormerInpaint(io.ComfyNode):
    """From aligned faces with holes to inpainted ones."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerInpaint",
            display_name="CodeFormer Inpaint",
            category=inputs.CATEGORY,
            description="Fills what is missing or painted over in faces. Everything else keeps every pixel; faces that are not "
            "touched are left out.",
            search_aliases=[
                "codeformer",
                "inpaint face",
                "fill face",
                "remove scratch",
                "repair face",
                "white brush",
                "人脸补全",
                "去划痕",
            ],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces to fill. Connect Detect Faces."),
                inputs.model_input("The network that fills faces. Connect Load CodeFormer with codeformer_inpainting.pth."),
                io.Int.Input(
                    "feather",
                    default=0,
                    min=0,
                    max=256,
                    tooltip="Over how many pixels around a hole the filling fades into the picture. 0 keeps every pixel "
                    "outside the hole exactly.",
                ),
                io.Int.Input(
                    "tolerance",
                    display_name="white tolerance",
                    default=round(holes.TOLERANCE * 255),
                    min=0,
                    max=64,
                    advanced=True,
                    tooltip="Only without a mask: how many of 255 levels a brush stroke may be away from white. JPEG files "
                    "need about 8; 0 takes only pure white.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where the picture is to be filled: one mask, or one for each picture, of any size. Paint it "
                    "in Load Image with Open in Mask Editor.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Only needed without a mask: the picture whose pure white brush strokes are to be filled.",
                ),
            ],
            outputs=[
                inputs.Faces.Output(
                    "filled", display_name="faces", tooltip="The faces that a hole touches, filled. Connect Paste Faces Back."
                ),
                inputs.crops_output("The filled faces"),
            ],
        )

    @classmethod
    def execute(
        cls,
        faces: AlignedFaces,
        model: networks.HostedRestorer,
        feather: int = 0,
        tolerance: int = round(holes.TOLERANCE * 255),
        mask: Tensor | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        """Fill every face that a hole touches."""
        where = holes.fade_edges(_holes(mask, image, tolerance), feather)
        filled = restoration.inpaint(faces, model, where, batch=model.batch, tick=progress.progress())
        progress.log_and_show(
            f"Filled {len(filled)} of {len(faces)} faces." if len(filled) else "No hole touches a face: nothing to fill."
        )
        return io.NodeOutput(filled, tensors.image_or_blocker(filled.crops))


NODES = [CodeFormerInpaint]
