"""The nodes of the pack, in the order in which a picture meets them."""

from comfy_api.latest import ComfyExtension, io

from . import (
    certainty,
    colorize,
    crops,
    face_mask,
    faces,
    fix_faces,
    frames,
    inpaint,
    loaders,
    migration,
    paste,
    restore,
    select,
    sweep,
    video,
)

MODULES = (
    loaders,
    fix_faces,
    video,
    frames,
    faces,
    select,
    restore,
    colorize,
    inpaint,
    sweep,
    certainty,
    face_mask,
    crops,
    paste,
    migration,
)


class CodeFormerExtension(ComfyExtension):
    """What the host asks for the nodes."""

    async def on_load(self) -> None:
        """Once, before the nodes: what stands for other packs' nodes."""
        await migration.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return [node for module in MODULES for node in module.NODES]


async def comfy_entrypoint() -> CodeFormerExtension:
    """Called once by the host when it has imported the pack."""
    return CodeFormerExtension()
