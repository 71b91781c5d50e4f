"""CodeFormer for ComfyUI. Inside the host this hands over the nodes; anywhere else importing it does nothing."""

from importlib.util import find_spec

__all__: list[str] = []

if find_spec("comfy_api") is not None:
    from .nodes import comfy_entrypoint as comfy_entrypoint

    __all__ += ["comfy_entrypoint"]
