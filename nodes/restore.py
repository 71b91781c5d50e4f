"""CodeFormer Restore: faces in, restored faces out."""

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker

from ..codeformer_core import pipeline
from ..codeformer_core.faces import AlignedFaces
from . import host, hosted, sockets


class CodeFormerRestore(io.ComfyNode):
    """Aligned faces to restored ones."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerRestore",
            display_name="CodeFormer Restore",
            category=sockets.CATEGORY,
            description="Repairs faces that are blurred, small, noisy or damaged. Paste Faces Back puts them into the picture.",
            search_aliases=sockets.ALIASES,
            inputs=[
                sockets.Faces.Input("faces", tooltip="The faces to repair. Connect Detect Faces."),
                sockets.model_input(),
                sockets.fidelity_input(),
                *sockets.style_inputs(),
            ],
            outputs=[
                sockets.Faces.Output("restored", display_name="faces", tooltip="The repaired faces. Connect Paste Faces Back."),
                io.Image.Output(
                    "crops", tooltip="The repaired faces as pictures of their own, upright. Without a face nothing comes out."
                ),
            ],
        )

    @classmethod
    def execute(
        cls, faces: AlignedFaces, model: hosted.HostedRestorer, fidelity: float, match_style: bool, grey: str
    ) -> io.NodeOutput:
        """Restore every face."""
        restored = pipeline.restore(
            faces, model, fidelity, match_style=match_style, grey=grey, batch=model.batch, tick=host.progress()
        )
        crops = host.to_host(restored.crops) if len(restored) else ExecutionBlocker(None)
        return io.NodeOutput(restored, crops)


NODES = [CodeFormerRestore]
