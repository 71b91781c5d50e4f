"""Fix Faces: the whole job in one node."""

from dataclasses import replace
from functools import partial
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import pipeline
from ..codeformer_core.colour import COLOURS
from ..codeformer_core.faces import DetectionOptions
from ..codeformer_core.report import account
from ..codeformer_core.selection import CHOICES
from ..codeformer_core.upscale import TILE, enlarge_with
from . import host, hosted, sockets


class CodeFormerFixFaces(io.ComfyNode):
    """Pictures in, pictures with repaired faces out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFixFaces",
            display_name="Fix Faces (CodeFormer)",
            category=sockets.CATEGORY,
            description="Finds every face, repairs it and puts it back. Outside the faces the picture keeps every pixel.",
            search_aliases=sockets.ALIASES,
            inputs=[
                io.Image.Input("image", tooltip="One picture or several. Transparency is kept."),
                sockets.model_input(),
                sockets.detector_input(),
                sockets.fidelity_input(),
                io.Float.Input(
                    "upscale",
                    default=1.0,
                    min=1.0,
                    max=4.0,
                    step=0.5,
                    tooltip="How many times larger the result is. Without an upscale model only the faces gain detail.",
                ),
                sockets.choice_input(),
                sockets.mask_input(),
                *sockets.style_inputs(),
                *sockets.detection_inputs(),
                sockets.parser_input(),
                sockets.detail_input(),
                sockets.colour_input(),
                io.Int.Input(
                    "largest",
                    display_name="skip larger than",
                    default=0,
                    min=0,
                    max=16384,
                    optional=True,
                    advanced=True,
                    tooltip="Leaves faces alone that are larger than this many pixels in the picture: they may have more "
                    "detail than the network gives. 0 sets no limit.",
                ),
                io.Int.Input(
                    "tile",
                    display_name="upscale in tiles of",
                    default=TILE,
                    min=0,
                    max=4096,
                    step=16,
                    optional=True,
                    advanced=True,
                    tooltip="Only with an upscale model: the side of the pieces, in pixels, that it works on. Smaller ones "
                    "need less memory; 0 works on the whole picture at once.",
                ),
                io.UpscaleModel.Input(
                    "upscale_model",
                    display_name="upscale model",
                    optional=True,
                    tooltip="Enlarges and sharpens the background. Connect Load Upscale Model, and set upscale to its factor.",
                ),
                io.UpscaleModel.Input(
                    "face_upscale_model",
                    display_name="face upscale model",
                    optional=True,
                    tooltip="Enlarges the repaired faces before they are pasted, so that they stay sharp when upscale is above "
                    "1. Connect Load Upscale Model.",
                ),
            ],
            outputs=[
                io.Image.Output("fixed", display_name="image", tooltip="The pictures with repaired faces."),
                sockets.mask_output(),
                sockets.faces_output(),
                sockets.count_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        model: hosted.HostedRestorer,
        detector: hosted.HostedDetector,
        fidelity: float,
        upscale: float,
        choice: str,
        mask: str,
        match_style: bool,
        grey: str,
        side: int,
        confidence: float,
        overlap: float,
        eye_distance: float,
        parser: hosted.HostedParser | None = None,
        keep_detail: bool = False,
        colour: str = next(iter(COLOURS)),
        largest: int = 0,
        tile: int = TILE,
        upscale_model: Any = None,
        face_upscale_model: Any = None,
    ) -> io.NodeOutput:
        """Find, cut out, restore, paste."""
        images, alpha = host.to_core(image)
        tick = host.progress()

        def enlarged(model: Any, pictures: Tensor) -> Tensor:
            return enlarge_with(pictures, hosted.HostedUpscaler(model), upscale, tile, tick=tick)

        fixed = pipeline.fix_faces(
            images,
            detector,
            model,
            fidelity=fidelity,
            options=DetectionOptions(side, confidence, overlap, eye_distance),
            selection=replace(CHOICES[choice], max_size=largest),
            match_style=match_style,
            grey=grey,
            colour=colour,
            mask=mask,
            parser=parser,
            upscale=upscale,
            background=enlarged(upscale_model, images) if upscale_model else None,
            upscale_faces=partial(enlarged, face_upscale_model) if face_upscale_model else None,
            keep_detail=keep_detail,
            batch=model.batch,
            tick=tick,
        )
        found = len(fixed.aligned)
        host.say(account(found, fixed.skipped))
        return io.NodeOutput(host.to_host(fixed.images, alpha), host.to_mask(fixed.mask), fixed.aligned, found)


NODES = [CodeFormerFixFaces]
