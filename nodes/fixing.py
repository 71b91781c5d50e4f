"""What Fix Faces and Fix Faces in Video share: inputs, and what is done to consecutive frames."""

from dataclasses import replace
from functools import partial
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.faces import DetectionOptions
from ..codeformer_core.progress import Tick, no_tick
from ..codeformer_core.recipe import Recipe
from ..codeformer_core.selection import CHOICES
from ..codeformer_core.upscale import TILE, enlarge_with
from . import hosted


def upscale_input() -> io.Input:
    """How many times larger the result is."""
    return io.Float.Input(
        "upscale",
        default=1.0,
        min=1.0,
        max=4.0,
        step=0.5,
        tooltip="How many times larger the result is. Without an upscale model only the faces gain detail.",
    )


def largest_input() -> io.Input:
    """A limit of `Selection`."""
    return io.Int.Input(
        "largest",
        display_name="skip larger than",
        default=0,
        min=0,
        max=16384,
        optional=True,
        advanced=True,
        tooltip="Leaves faces alone that are larger than this many pixels in the picture: they may have more "
        "detail than the network gives. 0 sets no limit.",
    )


def upscaler_inputs() -> list[io.Input]:
    """The tile, and networks for the background and for the faces."""
    return [
        io.Int.Input(
            "tile",
            display_name="upscale in tiles of",
            default=TILE,
            min=0,
            max=4096,
            step=16,
            optional=True,
            advanced=True,
            tooltip="Only with an upscale model: the side of the pieces, in pixels, that it works on. Smaller ones "
            "need less memory; 0 works on the whole picture at once.",
        ),
        io.UpscaleModel.Input(
            "upscale_model",
            optional=True,
            tooltip="Enlarges and sharpens the background. Connect Load Upscale Model, and set upscale to its factor.",
        ),
        io.UpscaleModel.Input(
            "face_upscale_model",
            optional=True,
            tooltip="Enlarges the repaired faces before they are pasted, so that they stay sharp when upscale is above "
            "1. Connect Load Upscale Model.",
        ),
    ]


def recipe(
    model: hosted.HostedRestorer,
    *,
    choice: str,
    largest: int,
    upscale: float,
    tile: int,
    upscale_model: Any,
    face_upscale_model: Any,
    detection: DetectionOptions,
    tick: Tick = no_tick,
    **rest: Any,
) -> Recipe:
    """What the inputs ask for, in the core's terms.

    Args:
        tick: progress in tiles of the upscale models, which look for Cancel in any case.
        rest: fields of `Recipe` that the inputs have as they are.
    """

    def enlarged(model: Any, pictures: Tensor) -> Tensor:
        return enlarge_with(pictures, hosted.HostedUpscaler(model), upscale, tile, tick=tick)

    return Recipe(
        batch=model.batch,
        options=detection,
        selection=replace(CHOICES[choice], max_size=largest),
        upscale=upscale,
        enlarged=partial(enlarged, upscale_model) if upscale_model else None,
        upscale_faces=partial(enlarged, face_upscale_model) if face_upscale_model else None,
        **rest,
    )
