"""Fix Faces: the whole job in one node."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.colour import COLOURS
from ..codeformer_core.faces import DetectionOptions
from ..codeformer_core.pipeline import Fixed, fix_faces
from ..codeformer_core.progress import Tick, no_tick
from ..codeformer_core.recipe import Recipe
from ..codeformer_core.report import account
from ..codeformer_core.stream import fix_frames
from ..codeformer_core.tracking import OFF, Steadiness
from ..codeformer_core.upscale import TILE
from . import fixing, host, hosted, sockets


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
                fixing.upscale_input(),
                sockets.choice_input(),
                sockets.mask_input(),
                *sockets.style_inputs(),
                *sockets.detection_inputs(),
                sockets.parser_input(),
                sockets.detail_input(),
                sockets.colour_input(),
                fixing.largest_input(),
                *fixing.upscaler_inputs(),
                io.Boolean.Input(
                    "consecutive",
                    display_name="frames are consecutive",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Turn it on when the pictures are the frames of a video, in order: every face is followed and "
                    "stays steady from frame to frame. For whole videos take Fix Faces in Video, which needs far less memory.",
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
        consecutive: bool = False,
    ) -> io.NodeOutput:
        """Find, cut out, restore, paste."""
        images, alpha = host.to_core(image)
        tick = host.progress()
        recipe = fixing.recipe(
            model,
            choice=choice,
            largest=largest,
            upscale=upscale,
            tile=tile,
            upscale_model=upscale_model,
            face_upscale_model=face_upscale_model,
            detection=DetectionOptions(side, confidence, overlap, eye_distance),
            steadiness=Steadiness() if consecutive else OFF,
            tick=no_tick if consecutive else tick,  # frames are counted then, not tiles and faces
            fidelity=fidelity,
            match_style=match_style,
            grey=grey,
            colour=colour,
            mask=mask,
            parser=parser,
            keep_detail=keep_detail,
        )
        fixed = (fix_frames if consecutive else _each_alone)(images, detector, model, recipe, tick)
        found = len(fixed.aligned)
        host.say(account(found, fixed.skipped))
        return io.NodeOutput(host.to_host(fixed.images, alpha), host.to_mask(fixed.mask), fixed.aligned, found)


def _each_alone(
    images: Tensor, detector: hosted.HostedDetector, model: hosted.HostedRestorer, recipe: Recipe, tick: Tick
) -> Fixed:
    """Pictures (B, 3, H, W) that have nothing to do with each other."""
    return fix_faces(
        images,
        detector,
        model,
        fidelity=recipe.fidelity,
        options=recipe.options,
        selection=recipe.selection,
        match_style=recipe.match_style,
        grey=recipe.grey,
        colour=recipe.colour,
        mask=recipe.mask,
        parser=recipe.parser,
        upscale=recipe.upscale,
        background=recipe.enlarged(images) if recipe.enlarged else None,
        upscale_faces=recipe.upscale_faces,
        keep_detail=recipe.keep_detail,
        batch=recipe.batch,
        tick=tick,
    )


NODES = [CodeFormerFixFaces]
