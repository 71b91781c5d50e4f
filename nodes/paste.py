"""Paste Faces Back: pastes restored faces into their images."""

from collections import Counter

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.imaging.colour import COLOURS, match_colours
from ..codeformer_core.imaging.resize import resize
from ..codeformer_core.options import FixOptions
from ..codeformer_core.options.fix import COLOUR_HELP
from ..codeformer_core.pipeline import paste_unharmed
from ..codeformer_core.selection.report import left_as_they_are
from . import inputs
from .host import networks, previews, progress, tensors
from .host.execution import completed

#: Without "auto": these faces may be colorized or edited, and coarse colours would undo that.
COLOUR = io.Combo.Input(
    "colour",
    display_name="colours",
    options=list(COLOURS),
    default=next(iter(COLOURS)),
    optional=True,
    advanced=True,
    tooltip=COLOUR_HELP,
)


class CodeFormerPasteBack(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerPasteBack",
            display_name="Paste Faces Back",
            category=inputs.CATEGORY,
            description="Puts repaired faces back where they came from. Outside the faces every pixel of the image stays.",
            search_aliases=["paste face", "composite face", "face paste back", "uncrop face", "codeformer", "人脸贴回"],
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The images that the faces were found in, or the same enlarged by another node, for example "
                    "Upscale Image (using Model).",
                ),
                inputs.Faces.Input("faces", tooltip="The faces to put back. Connect CodeFormer Restore."),
                *inputs.widgets("mask"),
                inputs.PARSER,
                *inputs.widgets("keep_detail"),
                COLOUR,
                *inputs.widgets("always", "match_grain"),
            ],
            outputs=[
                io.Image.Output("pasted", display_name="image", tooltip="The images with the faces in place."),
                inputs.MASK_OUTPUT,
            ],
            has_intermediate_output=True,  # before and after, in the browser
        )

    @classmethod
    def validate_inputs(cls, keep_detail: str | bool = "auto") -> bool | str:
        return inputs.accept_saved_switch(keep_detail)

    @classmethod
    @completed
    def execute(
        cls,
        image: Tensor,
        faces: AlignedFaces,
        mask: str,
        keep_detail: str | bool,
        colour: str,
        always: bool,
        match_grain: bool = False,
        parser: networks.HostedParser | None = None,
    ) -> io.NodeOutput:
        images, alpha = tensors.to_core(image)
        tensors.check_crops(faces.crops)
        coloured = faces.with_crops(match_colours(faces.crops, faces.originals, colour))
        found_in = images if images.shape[-2:] == faces.image_size else resize(images, *faces.image_size)
        options = FixOptions(mask=mask, keep_detail=keep_detail, always=always, match_grain=match_grain)
        fixed = paste_unharmed(found_in, images, coloured, options, parser)
        if fixed.skipped:
            progress.log_and_show(". ".join(left_as_they_are(Counter(face.reason for face in fixed.skipped))) + ".")
        shown = previews.before_and_after(images, fixed.images, faces.faces, faces.image_size)
        return io.NodeOutput(tensors.to_host(fixed.images, alpha), tensors.to_mask(fixed.mask), ui=shown)
