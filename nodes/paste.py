"""Paste Faces Back: pastes restored faces into their images."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import paste
from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.imaging.colour import COLOURS, match_colours
from . import inputs
from .host import networks, tensors


class CodeFormerPasteBack(io.ComfyNode):
    """From aligned faces to images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerPasteBack",
            display_name="Paste Faces Back",
            category=inputs.CATEGORY,
            description="Puts repaired faces where they came from. Outside the faces the picture keeps every pixel.",
            search_aliases=["paste face", "composite face", "face paste back", "uncrop face", "codeformer", "人脸贴回"],
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The pictures that the faces were found in, or the same pictures enlarged by another node, for "
                    "example Upscale Image (using Model).",
                ),
                inputs.Faces.Input("faces", tooltip="The faces to put back. Connect CodeFormer Restore."),
                *inputs.widgets("mask"),
                inputs.parser_input(),
                *inputs.widgets("keep_detail", "colour", optional=True),
            ],
            outputs=[
                io.Image.Output("pasted", display_name="image", tooltip="The pictures with the faces in place."),
                inputs.mask_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        faces: AlignedFaces,
        mask: str,
        parser: networks.HostedParser | None = None,
        keep_detail: bool = False,
        colour: str = next(iter(COLOURS)),
    ) -> io.NodeOutput:
        """Paste every face."""
        images, alpha = tensors.to_core(image)
        coloured = faces.with_crops(match_colours(faces.crops, faces.originals, colour))
        pasted, masks = paste.paste(images, coloured, mask, parser, keep_detail)
        return io.NodeOutput(tensors.to_host(pasted, alpha), tensors.to_mask(masks))


NODES = [CodeFormerPasteBack]
