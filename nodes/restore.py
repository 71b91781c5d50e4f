"""CodeFormer Restore: faces in, restored faces out."""

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core import fidelity as weights
from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.options import FixOptions
from ..codeformer_core.recognition.likeness import restore_measured, summarize_likeness, without_strangers
from . import inputs
from .host import networks, previews, progress, tensors
from .host.execution import completed


class CodeFormerRestore(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerRestore",
            display_name="CodeFormer Restore",
            category=inputs.CATEGORY,
            description="Repairs faces that are blurred, small, noisy or damaged. Paste Faces Back puts them into the image.",
            search_aliases=inputs.ALIASES,
            inputs=[
                inputs.Faces.Input("faces", tooltip="The faces to repair. Connect Detect Faces."),
                inputs.MODEL,
                *inputs.widgets("fidelity", "match_style", "grey"),
                io.String.Input(
                    "per_face",
                    display_name="fidelity per face",
                    default="",
                    placeholder="0.3, 0.8",
                    optional=True,
                    advanced=True,
                    tooltip="One fidelity for each face, in the order of the faces, such as 0.3, 0.8, or - for a face that "
                    "uses the single fidelity; leave it empty to use that for all. Clicks on faces in Select Faces write it.",
                ),
                io.Float.Input(
                    "painted",
                    display_name="fidelity in the mask",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    advanced=True,
                    tooltip="Only with a mask: the fidelity in its white part. 1 keeps eyes, a mole or a tattoo as they are; 0 "
                    "repairs the white part most.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="A mask over the image: where it is white the fidelity in the mask applies, where it is black the "
                    "fidelity of the face, and in between a mixture. One mask, or one per image, of any size.",
                ),
                *inputs.widgets("likeness"),
            ],
            outputs=[
                inputs.Faces.Output("restored", display_name="faces", tooltip="The repaired faces. Connect Paste Faces Back."),
                inputs.CROPS_OUTPUT,
            ],
            has_intermediate_output=True,  # before and after, in the browser
        )

    @classmethod
    @completed
    def execute(
        cls,
        faces: AlignedFaces,
        model: networks.HostedRestorer,
        fidelity: float,
        per_face: str = "",
        painted: float = 1.0,
        mask: Tensor | None = None,
        likeness: str = "off",
        **values: Any,
    ) -> io.NodeOutput:
        weight = weights.fidelity_per_face(inputs.parse_fidelities(per_face), fidelity, len(faces))
        painting, note = tensors.mask_over(faces.image_size, mask)
        if painting is not None:
            weight = weights.fidelity_maps(faces, weight, painting, painted)
        options = FixOptions(likeness=likeness, **values)
        restored, lost = without_strangers(
            restore_measured(
                faces,
                model,
                weight,
                options,
                inputs.recognition(likeness != "off"),
                batch=model.batch,
                tick=progress.progress(),
            ),
            options,
        )
        progress.log_and_show(summarize_likeness(restored, lost) if likeness != "off" else "", note)
        shown = previews.before_and_after(faces.crops, restored.crops)
        return io.NodeOutput(restored, tensors.image_or_blocker(restored.crops), ui=shown)
