"""Fix Faces: the whole job in one node."""

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.pipeline import Fixed, fix_faces
from ..codeformer_core.recognition.likeness import summarize_likeness
from ..codeformer_core.selection.report import summarize
from ..codeformer_core.video.pipeline import fix_frames
from . import inputs
from .host import networks, previews, progress, tensors
from .host.execution import KEPT, LaterFaces, completed, is_connected

#: The number of the output that most graphs never connect.
FACES = 2


class CodeFormerFixFaces(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFixFaces",
            display_name="Fix Faces (CodeFormer)",
            category=inputs.CATEGORY,
            description="Finds every face, repairs it and puts it back. Outside the faces every pixel of the image stays.",
            search_aliases=["restore", "修复人脸", *inputs.ALIASES],
            inputs=[
                io.Image.Input("image", tooltip="One image or several. Transparency is kept."),
                inputs.MODEL,
                inputs.DETECTOR,
                *inputs.widgets("fidelity", "upscale", "choice", "mask", "match_style", "grey"),
                *inputs.widgets("side", "confidence", "overlap", "eye_distance"),
                inputs.PARSER,
                *inputs.widgets("keep_detail", "colour", "largest", "tile"),
                *inputs.UPSCALERS,
                io.Boolean.Input(
                    "consecutive",
                    display_name="frames are consecutive",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Turn it on when the images are the frames of a video, in order: every face is tracked and stays "
                    "steady from frame to frame. For whole videos use Fix Faces in Video, which needs far less memory.",
                ),
                *inputs.new_widgets(),
                inputs.PERSON,
            ],
            outputs=[
                io.Image.Output("fixed", display_name="image", tooltip="The images with repaired faces."),
                inputs.MASK_OUTPUT,
                inputs.FACES_OUTPUT,
                inputs.COUNT_OUTPUT,
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
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
        model: networks.HostedRestorer,
        detector: networks.HostedDetector,
        consecutive: bool = False,
        person: Tensor | None = None,
        **values: Any,
    ) -> io.NodeOutput:
        images, alpha = tensors.to_core(image)
        options = inputs.chosen(values)
        if consecutive:
            people = inputs.people_in_video(options, person, detector)
        else:
            people = None if person is None else inputs.people(person, detector)
        extras = inputs.extras(values, people)

        def fix(keep: torch.dtype | None) -> Fixed:
            tick = progress.progress()
            if consecutive:
                return fix_frames(images, detector, model, options, extras, tick, keep=keep)
            return fix_faces(images, detector, model, options, extras, lambda unit: tick)

        connected = is_connected(cls, FACES)
        fixed = fix(KEPT if connected else None)
        faces = fixed.aligned.to(KEPT) if connected else LaterFaces(lambda: fix(KEPT).aligned.to(KEPT))
        count = len(fixed.found) - len(fixed.skipped)
        progress.log_and_show("\n".join(filter(None, [summarize(count, fixed.skipped), summarize_likeness(fixed.aligned)])))
        shown = previews.before_and_after(images, fixed.images, fixed.found, images.shape[-2:])
        return io.NodeOutput(tensors.to_host(fixed.images, alpha), tensors.to_mask(fixed.mask), faces, count, ui=shown)
