"""The nodes of the pack, in the order of the stages of a restoration."""

from comfy_api.latest import ComfyExtension, io

from . import legacy
from .blend import CodeFormerBlendFaces
from .certainty import CodeFormerCertainty
from .colorize import CodeFormerColorize
from .compare import CodeFormerCompare
from .crops import CodeFormerFacesFromCrops, CodeFormerFacesToCrops
from .detect import CodeFormerFaceDetect
from .face_mask import CodeFormerFaceMask
from .fix_faces import CodeFormerFixFaces
from .fix_video import CodeFormerFixFacesInVideo
from .host import language
from .inpaint import CodeFormerInpaint
from .loaders import (
    CodeFormerBackgroundLoader,
    CodeFormerFaceDetectorLoader,
    CodeFormerFaceParserLoader,
    CodeFormerModelLoader,
)
from .paste import CodeFormerPasteBack
from .restore import CodeFormerRestore
from .select import CodeFormerFaceSelect
from .select_person import CodeFormerSelectPerson
from .sweep import CodeFormerFidelitySweep
from .video_frames import CodeFormerVideoFrames

NODES: list[type[io.ComfyNode]] = [
    CodeFormerModelLoader,
    CodeFormerFaceDetectorLoader,
    CodeFormerFaceParserLoader,
    CodeFormerBackgroundLoader,
    CodeFormerFixFaces,
    CodeFormerFixFacesInVideo,
    CodeFormerVideoFrames,
    CodeFormerFaceDetect,
    CodeFormerFaceSelect,
    CodeFormerSelectPerson,
    CodeFormerRestore,
    CodeFormerColorize,
    CodeFormerInpaint,
    CodeFormerFidelitySweep,
    CodeFormerCertainty,
    CodeFormerBlendFaces,
    CodeFormerFaceMask,
    CodeFormerFacesToCrops,
    CodeFormerFacesFromCrops,
    CodeFormerPasteBack,
    CodeFormerCompare,
    *legacy.NODES,
]


class CodeFormerExtension(ComfyExtension):
    async def on_load(self) -> None:
        await legacy.register()
        language.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> CodeFormerExtension:
    """Called once by the host when it has imported the pack."""
    return CodeFormerExtension()
