"""The nodes of the pack, in the order of the stages of a restoration."""

from comfy_api.latest import ComfyExtension, io

from . import (
    certainty,
    colorize,
    crops,
    detect,
    face_mask,
    fix_faces,
    fix_video,
    inpaint,
    legacy,
    loaders,
    paste,
    restore,
    select,
    sweep,
    video_frames,
)

MODULES = (
    loaders,
    fix_faces,
    fix_video,
    video_frames,
    detect,
    select,
    restore,
    colorize,
    inpaint,
    sweep,
    certainty,
    face_mask,
    crops,
    paste,
    legacy,
)


class CodeFormerExtension(ComfyExtension):
    """What the host asks for the nodes."""

    async def on_load(self) -> None:
        """Once, before the nodes: what stands for other packs' nodes."""
        await legacy.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return [node for module in MODULES for node in module.NODES]


async def comfy_entrypoint() -> CodeFormerExtension:
    """Called once by the host when it has imported the pack."""
    return CodeFormerExtension()
