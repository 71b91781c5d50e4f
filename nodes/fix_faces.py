"""Fix Faces: the whole job in one node."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import pipeline
from ..codeformer_core.faces import DetectionOptions
from ..codeformer_core.selection import CHOICES
from . import host, hosted, sockets
from .faces import account


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
                    tooltip="How many times larger the result is. Only the faces gain detail; for a sharper background, "
                    "enlarge the picture with another node and use Paste Faces Back.",
                ),
                sockets.choice_input(),
                sockets.mask_input(),
                *sockets.style_inputs(),
                *sockets.detection_inputs(),
                sockets.parser_input(),
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
    ) -> io.NodeOutput:
        """Find, cut out, restore, paste."""
        images, alpha = host.to_core(image)
        fixed = pipeline.fix_faces(
            images,
            detector,
            model,
            fidelity=fidelity,
            options=DetectionOptions(side, confidence, overlap, eye_distance),
            selection=CHOICES[choice],
            match_style=match_style,
            grey=grey,
            mask=mask,
            parser=parser,
            upscale=upscale,
            batch=model.batch,
            tick=host.progress(),
        )
        found = len(fixed.aligned)
        host.say(account(found, fixed.skipped))
        return io.NodeOutput(host.to_host(fixed.images, alpha), host.to_mask(fixed.mask), fixed.aligned, found)


NODES = [CodeFormerFixFaces]
