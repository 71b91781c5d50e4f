"""Fix Faces: the whole job in one node."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.pipeline import fix_faces
from ..codeformer_core.selection.report import summarize
from ..codeformer_core.video.pipeline import fix_frames
from . import inputs
from .host import networks, progress, tensors


class CodeFormerFixFaces(io.ComfyNode):
    """From images to images with restored faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFixFaces",
            display_name="Fix Faces (CodeFormer)",
            category=inputs.CATEGORY,
            description="Finds every face, repairs it and puts it back. Outside the faces the picture keeps every pixel.",
            search_aliases=inputs.ALIASES,
            inputs=[
                io.Image.Input("image", tooltip="One picture or several. Transparency is kept."),
                inputs.model_input(),
                inputs.detector_input(),
                *inputs.widgets(
                    *("fidelity", "upscale", "choice", "mask", "match_style", "grey", "side", "confidence", "overlap"),
                    "eye_distance",
                ),
                inputs.parser_input(),
                *inputs.widgets("keep_detail", "colour", "largest", "tile", optional=True),
                *inputs.upscaler_inputs(),
                io.Boolean.Input(
                    "consecutive",
                    display_name="frames are consecutive",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Turn it on when the pictures are the frames of a video, in order: every face is followed and "
                    "stays steady from frame to frame. For whole videos take Fix Faces in Video, which needs far less memory.",
                ),
                *inputs.new_widgets(),
            ],
            outputs=[
                io.Image.Output("fixed", display_name="image", tooltip="The pictures with repaired faces."),
                inputs.mask_output(),
                inputs.faces_output(),
                inputs.count_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        model: networks.HostedRestorer,
        detector: networks.HostedDetector,
        parser: networks.HostedParser | None = None,
        upscale_model: Any = None,
        face_upscale_model: Any = None,
        consecutive: bool = False,
        **values: Any,
    ) -> io.NodeOutput:
        """Find, cut out, restore, paste."""
        images, alpha = tensors.to_core(image)
        options, extras = inputs.chosen(values), inputs.extras(parser, upscale_model, face_upscale_model)
        tick = progress.progress()
        if consecutive:
            fixed = fix_frames(images, detector, model, options, extras, tick)
        else:
            fixed = fix_faces(images, detector, model, options, extras, lambda unit: tick)
        found = len(fixed.aligned)
        progress.log_and_show(summarize(found, fixed.skipped))
        return io.NodeOutput(tensors.to_host(fixed.images, alpha), tensors.to_mask(fixed.mask), fixed.aligned, found)


NODES = [CodeFormerFixFaces]
