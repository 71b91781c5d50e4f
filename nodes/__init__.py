"""The nodes of the pack, in the order in which a picture meets them."""

from comfy_api.latest import ComfyExtension, io

from . import faces, fix_faces, loaders, paste, restore


class CodeFormerExtension(ComfyExtension):
    """What the host asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        return [node for module in (loaders, fix_faces, faces, restore, paste) for node in module.NODES]


async def comfy_entrypoint() -> CodeFormerExtension:
    """Called once by the host when it has imported the pack."""
    return CodeFormerExtension()
