"""CodeFormer Inpaint: fills holes in aligned faces."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import restoration
from ..codeformer_core.background.filling import fill_holes
from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.imaging.resize import resize
from ..codeformer_core.masks import holes
from . import inputs
from .host import networks, progress, tensors
from .host.execution import completed

#: Of 255 levels.
TOLERANCE = round(holes.TOLERANCE * 255)


class CodeFormerInpaint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerInpaint",
            display_name="CodeFormer Inpaint",
            category=inputs.CATEGORY,
            description="Fills holes in faces: what is missing or painted over. Every pixel outside the holes stays; faces "
            "without a hole are left out.",
            search_aliases=["inpaint face", "fill face", "remove scratch", "repair face", "white brush", "人脸补全", "去划痕"],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces to fill. Connect Detect Faces."),
                inputs.Model.Input(
                    "model", tooltip="The network that fills holes. Connect Load CodeFormer with codeformer_inpainting.pth."
                ),
                io.Int.Input(
                    "feather",
                    default=0,
                    optional=True,
                    min=0,
                    max=256,
                    tooltip="Over how many pixels around a hole the filling fades into the image. 0 keeps every pixel outside "
                    "the hole exactly.",
                ),
                io.Int.Input(
                    "tolerance",
                    display_name="white tolerance",
                    default=TOLERANCE,
                    optional=True,
                    min=0,
                    max=64,
                    advanced=True,
                    tooltip="Only without a mask: how many of 255 levels a brush stroke may be away from white. JPEG files "
                    "need about 8; 0 takes only pure white.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where the image is to be filled: one mask, or one per image, of any size. Paint it in "
                    "Load Image with Open in Mask Editor.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Only needed without a mask, or with a background model: the image that the faces were found in. "
                    "Without a mask its pure white brush strokes are filled.",
                ),
                inputs.Background.Input(
                    "background_model",
                    optional=True,
                    tooltip="Fills the holes outside the faces too. Connect Load Background Model with big-lama.safetensors.",
                ),
            ],
            outputs=[
                inputs.Faces.Output("filled", display_name="faces", tooltip="The filled faces. Connect Paste Faces Back."),
                inputs.CROPS_OUTPUT,
                io.Image.Output(
                    "filled_image",
                    display_name="image",
                    tooltip="With a background model: the filled image, for Paste Faces Back. Else the image that came in.",
                ),
            ],
        )

    @classmethod
    @completed
    def execute(
        cls,
        faces: AlignedFaces,
        model: networks.HostedRestorer,
        feather: int = 0,
        tolerance: int = TOLERANCE,
        mask: Tensor | None = None,
        image: Tensor | None = None,
        background_model: networks.HostedBackground | None = None,
    ) -> io.NodeOutput:
        model.require_task("inpainting")  # said at the first run, before anybody has painted a mask
        photo = inputs.whole_image(background_model, image, "inpainting")
        unknown, note = tensors.mask_over(faces.image_size, mask)
        if unknown is None and image is not None:
            unknown = holes.white_brush_mask(tensors.to_core(image)[0], tolerance / 255)
        if unknown is None:
            raise ValueError(
                "Found neither a mask nor an image. Expected one of them, to know what to fill: connect a mask, or the image "
                "with white brush strokes."
            )
        unknown = holes.fade_edges(unknown, feather)
        tick = progress.progress()
        if background_model is not None and photo is not None:
            images, alpha = tensors.to_core(photo)
            holes_in = resize(unknown, *images.shape[-2:])
            photo = tensors.to_host(fill_holes(images, holes_in, background_model, tick), alpha)
        filled = restoration.inpaint(faces, model, unknown, batch=model.batch, tick=tick)
        nothing = "No hole touches a face: nothing to fill." if background_model is None else "No hole touches a face."
        progress.log_and_show(f"Filled {len(filled)} of {len(faces)} faces." if len(filled) else nothing, note)
        return io.NodeOutput(filled, tensors.image_or_blocker(filled.crops), tensors.given_or_blocker(photo))
