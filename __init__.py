"""CodeFormer for ComfyUI. Inside the host this hands over the nodes; anywhere else importing it does nothing."""

from importlib.util import find_spec

__all__: list[str] = []

if find_spec("comfy_api") is not None:
    from .nodes import comfy_entrypoint as comfy_entrypoint

    #: Help pages and scripts, which the host serves to the browser. Translations lie in locales/, where it looks by itself.
    WEB_DIRECTORY = "./web"

    __all__ += ["WEB_DIRECTORY", "comfy_entrypoint"]
