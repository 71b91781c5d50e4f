"""Faces to Crops and Faces from Crops: aligned faces as images that any other node can work on, and back."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import pipeline, restoration
from ..codeformer_core.align import TEMPLATE_SIDE
from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.masks import limits
from . import inputs
from .host import progress, tensors
from .host.execution import completed


class CodeFormerFacesToCrops(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFacesToCrops",
            display_name="Faces to Crops",
            category=inputs.CATEGORY,
            description="The faces as upright square images, for any other node to work on. Faces from Crops takes them back.",
            search_aliases=["codeformer", "crop face", "cropface", "extract faces", "face crops", "face to image", "人脸裁切"],
            inputs=[inputs.Faces.Input("faces", tooltip="The faces. Connect Detect Faces or a node that has worked on them.")],
            outputs=[
                io.Image.Output(
                    "crops", tooltip="The faces as they are now, one image each. Without a face there is no output."
                ),
                io.Mask.Output("masks", tooltip="White where each crop may be pasted, one mask for each face."),
                io.Image.Output("originals", tooltip="The faces as they were cut out of the image."),
                inputs.COUNT_OUTPUT,
            ],
        )

    @classmethod
    @completed
    def execute(cls, faces: AlignedFaces) -> io.NodeOutput:
        if not len(faces):
            progress.log_and_show("No face found: there is no output.")
        return io.NodeOutput(
            tensors.image_or_blocker(faces.crops),
            tensors.mask_or_blocker(limits.crop_masks(faces)),
            tensors.image_or_blocker(faces.originals),
            len(faces),
        )


class CodeFormerFacesFromCrops(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFacesFromCrops",
            display_name="Faces from Crops",
            category=inputs.CATEGORY,
            description="Takes back crops that another node has worked on, of any square size. Paste Faces Back puts them into "
            "the image; larger crops keep their detail in an enlarged image.",
            search_aliases=["codeformer", "uncrop face", "paste crops", "image to face", "detailer"],
            inputs=[
                io.Image.Input(
                    "crops", tooltip="A square image for each face, in the same order. Or any images of aligned faces."
                ),
                inputs.Faces.Input(
                    "faces",
                    optional=True,
                    tooltip="The faces that the crops were made from. Connect what Faces to Crops got. Without it each image "
                    "counts as a face that is cut out and upright already.",
                ),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="White where a crop is pasted, black where the image stays: one mask for each face, or one for "
                    "all, of any size. Replaces the masks that the faces had.",
                ),
            ],
            outputs=[
                inputs.Faces.Output("edited", display_name="faces", tooltip="The edited faces. Connect Paste Faces Back.")
            ],
        )

    @classmethod
    @completed
    def execute(cls, crops: Tensor, faces: AlignedFaces | None = None, masks: Tensor | None = None) -> io.NodeOutput:
        images, _ = tensors.to_core(crops, "crops", finite=True)
        if faces is None:
            faces = pipeline.wrap_aligned_images(images, TEMPLATE_SIDE)
        limits, note = tensors.mask_over((images.shape[-2], images.shape[-1]), masks, "masks")
        progress.log_and_show(note)
        return io.NodeOutput(restoration.replace_crops(faces, images, limits))
