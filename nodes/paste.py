"""Paste Faces Back: restored faces into the pictures that they came from."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import paste
from ..codeformer_core.colour import COLOURS, matched
from ..codeformer_core.faces import AlignedFaces
from . import host, hosted, sockets


class CodeFormerPasteBack(io.ComfyNode):
    """Faces into pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerPasteBack",
            display_name="Paste Faces Back",
            category=sockets.CATEGORY,
            description="Puts repaired faces where they came from. Outside the faces the picture keeps every pixel.",
            search_aliases=["paste face", "composite face", "face paste back", "uncrop face", "codeformer", "人脸贴回"],
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The pictures that the faces were found in, or the same pictures enlarged by another node, for "
                    "example Upscale Image (using Model).",
                ),
                sockets.Faces.Input("faces", tooltip="The faces to put back. Connect CodeFormer Restore."),
                sockets.mask_input(),
                sockets.parser_input(),
                sockets.detail_input(),
                sockets.colour_input(),
            ],
            outputs=[
                io.Image.Output("pasted", display_name="image", tooltip="The pictures with the faces in place."),
                sockets.mask_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        faces: AlignedFaces,
        mask: str,
        parser: hosted.HostedParser | None = None,
        keep_detail: bool = False,
        colour: str = next(iter(COLOURS)),
    ) -> io.NodeOutput:
        """Paste every face."""
        images, alpha = host.to_core(image)
        coloured = faces.with_crops(matched(faces.crops, faces.originals, colour))
        pasted, masks = paste.paste(images, coloured, mask, parser, keep_detail)
        return io.NodeOutput(host.to_host(pasted, alpha), host.to_mask(masks))


NODES = [CodeFormerPasteBack]
