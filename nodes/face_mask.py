"""Face Mask: which parts of the faces are pasted."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import paste
from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.masks import limits
from ..codeformer_core.masks.parsing import FACE_PARTS, PART_CLASSES
from . import inputs
from .host import networks, progress, tensors
from .host.execution import completed

#: What the white of the mask means -> how it limits the paste.
OCCLUSION = {"in front of the face": limits.exclude, "where faces may be pasted": limits.restrict_to}

#: The parts that people turn off most; the others are among the advanced widgets.
OFTEN = ("eyes", "glasses", "mouth", "hair")


class CodeFormerFaceMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFaceMask",
            display_name="Face Mask",
            category=inputs.CATEGORY,
            description="Chooses which parts of the faces are pasted, how their edges fade, and how visible they are. Put it "
            "between CodeFormer Restore and Paste Faces Back.",
            search_aliases=["face parsing", "parsenet", "bisenet", "mask helper", "occlusion", "visibility", "skin"],
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces. Connect CodeFormer Restore."),
                *(
                    io.Boolean.Input(
                        part,
                        default=part in FACE_PARTS,
                        optional=True,
                        advanced=part not in OFTEN or None,
                        tooltip=f"Paste the {part}. Only with a face parser.",
                    )
                    for part in PART_CLASSES
                ),
                io.Int.Input(
                    "grow",
                    default=0,
                    optional=True,
                    advanced=True,
                    min=-256,
                    max=256,
                    tooltip="Grows the parts by this many pixels of the crop; below 0 shrinks them. Only with a face parser.",
                ),
                io.Int.Input(
                    "feather",
                    default=8,
                    optional=True,
                    min=0,
                    max=256,
                    tooltip="Softens the edges of the parts by this many crop pixels on each side. Only with a face parser.",
                ),
                io.Float.Input(
                    "visibility",
                    default=1.0,
                    optional=True,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    display_mode=io.NumberDisplay.slider,
                    tooltip="How visible the pasted face is: 1 shows it fully, 0 shows the image as it was.",
                ),
                io.Combo.Input(
                    "occlusion_means",
                    display_name="the mask is",
                    options=list(OCCLUSION),
                    default="in front of the face",
                    optional=True,
                    tooltip="What the white part of the mask means: something in front of the face, such as a hand, that must "
                    "stay as it is; or the only area that may change.",
                ),
                inputs.Parser.Input(
                    "parser",
                    optional=True,
                    tooltip="The network that tells the parts of a face apart. Connect Load Face Parser. Without it the parts "
                    "are not used and the whole crop is pasted.",
                ),
                io.Mask.Input("occlusion", optional=True, tooltip="A mask over the image: one, or one per image, of any size."),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="Only needed when some images have no face: there is one union mask for each of these images.",
                ),
            ],
            outputs=[
                inputs.Faces.Output("masked", display_name="faces", tooltip="The masked faces. Connect Paste Faces Back."),
                io.Mask.Output("masks", tooltip="The mask of each face, over its crop. Without a face there is no output."),
                io.Mask.Output("union", tooltip="All masks of an image over that image, as the blend square pastes them."),
            ],
        )

    @classmethod
    @completed
    def execute(
        cls,
        faces: AlignedFaces,
        grow: int,
        feather: int,
        visibility: float,
        occlusion_means: str,
        parser: networks.HostedParser | None = None,
        occlusion: Tensor | None = None,
        image: Tensor | None = None,
        **parts: Any,
    ) -> io.NodeOutput:
        masked = limits.with_opacity(faces, visibility)
        if parser is not None:
            chosen = [name for name in PART_CLASSES if parts[name]]
            masked = limits.restrict_to_parts(masked, chosen, parser, grow=grow, feather=feather)
        area, note = tensors.mask_over(faces.image_size, occlusion, "occlusion")
        if area is not None:
            masked = OCCLUSION[occlusion_means](masked, area)
        progress.log_and_show(note)
        last = max((face.image_index for face in masked.faces), default=0)
        union = paste.paste_mask(masked, last + 1 if image is None else len(tensors.to_core(image)[0]))
        return io.NodeOutput(masked, tensors.mask_or_blocker(limits.crop_masks(masked)), tensors.to_mask(union))
