"""Blend Faces: two versions of the same faces in, one in between out."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import restoration
from ..codeformer_core.faces import AlignedFaces
from . import inputs
from .host import progress, tensors
from .host.execution import completed


class CodeFormerBlendFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerBlendFaces",
            display_name="Blend Faces",
            category=inputs.CATEGORY,
            description="Mixes two versions of the same faces, such as those of two networks or of two fidelities.",
            search_aliases=["blend faces", "mix faces", "face mix", "two models", "codeformer", "混合人脸"],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The first version. Connect CodeFormer Restore."),
                inputs.Faces.Input(
                    "second_faces",
                    tooltip="The second version: another CodeFormer Restore behind the same Detect Faces or Select Faces.",
                ),
                io.Float.Input(
                    "ratio",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    display_mode=io.NumberDisplay.slider,
                    optional=True,
                    tooltip="How much of the second version is taken: 0 is the first, 1 the second.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="A mask over the image: the ratio applies where it is white; where it is black the first version "
                    "stays. One mask, or one per image, of any size.",
                ),
            ],
            outputs=[
                inputs.Faces.Output("blended", display_name="faces", tooltip="The mixed faces. Connect Paste Faces Back."),
                inputs.CROPS_OUTPUT,
            ],
        )

    @classmethod
    @completed
    def execute(
        cls, faces: AlignedFaces, second_faces: AlignedFaces, ratio: float = 0.5, mask: Tensor | None = None
    ) -> io.NodeOutput:
        over, note = tensors.mask_over(faces.image_size, mask)
        mixed = restoration.blend(faces, second_faces, ratio, over)
        progress.log_and_show(note)
        return io.NodeOutput(mixed, tensors.image_or_blocker(mixed.crops))
