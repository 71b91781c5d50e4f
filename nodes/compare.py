"""Compare Images: a before/after slider for any two images."""

from comfy_api.latest import io
from torch import Tensor

from . import inputs
from .host import previews, tensors
from .host.execution import completed


class CodeFormerCompare(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerCompare",
            display_name="Before and After",
            category=inputs.CATEGORY,
            description="Shows two images one over the other, with a line to drag between them.",
            search_aliases=["codeformer", "compare images", "image compare", "before after", "slider", "对比", "前后对比"],
            inputs=[
                io.Image.Input("before", tooltip="One image or several, shown on the left of the line."),
                io.Image.Input("after", tooltip="The same images after a change, of any size, shown on the right of the line."),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    @completed
    def execute(cls, before: Tensor, after: Tensor) -> io.NodeOutput:
        return io.NodeOutput(
            ui=previews.before_and_after(tensors.to_core(before, "before")[0], tensors.to_core(after, "after")[0])
        )
