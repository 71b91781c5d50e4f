"""The pack's own socket types, and the inputs that several nodes share so that they read alike everywhere.

CODEFORMER_MODEL, CODEFORMER_DETECTOR and CODEFORMER_PARSER carry a `HostedRestorer`, `HostedDetector` and `HostedParser`.
CODEFORMER_FACES carries a `codeformer_core.faces.AlignedFaces`: every face of every image of a batch, with its crop, its mask
and its place in the image. It is immutable. FACE_LANDMARKS is the host's: see `codeformer_core.detection.external`.

Inputs without a widget have no `display_name`, which the browser would show in every language: locales/ names them.
"""

import re
from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..codeformer_core.options import FixOptions, OptionField, option_fields, with_values
from ..codeformer_core.pipeline import Extras
from .host import networks

Model = io.Custom("CODEFORMER_MODEL")
Detector = io.Custom("CODEFORMER_DETECTOR")
Parser = io.Custom("CODEFORMER_PARSER")
Faces = io.Custom("CODEFORMER_FACES")
Landmarks = io.Custom("FACE_LANDMARKS")

CATEGORY = "image/face"

#: Words that people search for: the method, its rivals, and the packs that they know.
ALIASES = [
    *("codeformer", "face restore", "facerestore", "restore face", "fix face", "gfpgan", "reactor", "facedetailer"),
    *("人脸修复", "面部修复", "脸部修复", "修脸", "老照片修复"),
]


def model_input(tooltip: str = "The network that repairs faces. Connect Load CodeFormer.", name: str = "model") -> io.Input:
    """The restorer."""
    return Model.Input(name, tooltip=tooltip)


def detector_input(optional: bool = False) -> io.Input:
    """The face detector; optional where faces may come from elsewhere."""
    return Detector.Input("detector", optional=optional, tooltip="The network that finds faces. Connect Load Face Detector.")


def parser_input() -> io.Input:
    """The optional face parser."""
    return Parser.Input(
        "parser",
        optional=True,
        tooltip="Only needed for the blend 'face': tells skin and hair from background and clothes. Connect Load Face Parser.",
    )


#: Widgets of the two nodes that do the whole job, in the order of the first version: saved workflows count on it.
FIRST_VERSION = (
    *("fidelity", "upscale", "choice", "mask", "match_style", "grey", "side", "confidence", "overlap", "eye_distance"),
    *("keep_detail", "colour", "largest", "tile", "steady", "strength", "chunk"),
)


def widget(name: str, option: OptionField, optional: bool = False) -> io.Input:
    """The input of an option: a switch, a list of choices, or a number with its range."""
    about = option.about
    common: dict[str, Any] = {"default": option.default, "tooltip": about.help, "optional": optional}
    common |= {"display_name": about.label, "advanced": about.advanced or None}
    if about.choices:
        return io.Combo.Input(name, options=list(about.choices), **common)
    if isinstance(option.default, bool):
        return io.Boolean.Input(name, **common)
    low, high, step = about.span or (None, None, None)
    kind = io.Int if isinstance(option.default, int) else io.Float
    return kind.Input(
        name, min=low, max=high, step=step, display_mode=io.NumberDisplay.slider if about.slider else None, **common
    )


def widgets(*names: str, of: Any = FixOptions(), optional: bool = False) -> list[io.Input]:
    """The inputs of these options, by the ids of their widgets."""
    known = _by_widget(of)
    return [widget(name, known[name], optional) for name in names]


def new_widgets() -> list[io.Input]:
    """The inputs of the options that the nodes for the whole job have gained since the first version."""
    return [
        widget(name, option, optional=True) for name, option in _by_widget(FixOptions()).items() if name not in FIRST_VERSION
    ]


def chosen(values: Mapping[str, Any], of: Any = FixOptions()) -> Any:
    """Options with the values of their widgets; the values of other inputs are left out."""
    known = _by_widget(of)
    return with_values(of, {known[name].path: value for name, value in values.items() if name in known})


def _by_widget(options: Any) -> dict[str, OptionField]:
    """Widget id -> option: those that the nodes for the whole job show, or all of a smaller group of options."""
    if not isinstance(options, FixOptions):
        return {option.path[-1]: option for option in option_fields(options)}
    return {option.widget: option for option in option_fields(options) if option.about.node}


def upscaler_inputs() -> list[io.Input]:
    """Networks for the background and for the faces."""
    return [
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


def extras(parser: Any = None, upscale_model: Any = None, face_upscale_model: Any = None) -> Extras:
    """The optional networks of the nodes that do the whole job."""
    return Extras(
        parser=parser,
        upscaler=networks.HostedUpscaler(upscale_model) if upscale_model else None,
        face_upscaler=networks.HostedUpscaler(face_upscale_model) if face_upscale_model else None,
    )


def listed(text: str, whole: bool = False) -> list[float]:
    """The numbers in a text such as "1, 3" or "0.3 0.8"; none in an empty one.

    Raises:
        ValueError: something else than numbers.
    """
    entries = [entry for entry in re.split(r"[\s,;]+", text) if entry]
    pattern = r"\d+" if whole else r"\d+(\.\d*)?|\.\d+"
    wrong = next((entry for entry in entries if not re.fullmatch(pattern, entry)), None)
    if wrong is not None:
        example = "1, 3" if whole else "0.3, 0.8"
        raise ValueError(f"Found {wrong!r} in a list of numbers. Expected numbers with commas between them, such as {example}.")
    return [float(entry) for entry in entries]


def faces_output() -> io.Output:
    """Aligned faces."""
    return Faces.Output(
        "faces", tooltip="The faces, cut out and turned upright. Connect CodeFormer Restore or Paste Faces Back."
    )


def crops_output(what: str) -> io.Output:
    """Aligned crops as an IMAGE."""
    return io.Image.Output("crops", tooltip=f"{what} as pictures of their own, upright. Without a face nothing comes out.")


def saved_output(name: str = "saved") -> io.Output:
    """Faces as JSON."""
    return io.String.Output(
        name,
        display_name="saved",
        tooltip="Where the faces are, as text (JSON) to keep or edit. Detect Faces takes it back instead of searching.",
    )


def mask_output() -> io.Output:
    """The paste mask."""
    return io.Mask.Output(
        "mask_out", display_name="mask", tooltip="White where a face was pasted, black where nothing changed."
    )


def count_output() -> io.Output:
    """The number of faces."""
    return io.Int.Output("count", tooltip="How many faces were found and kept, over all pictures.")
