"""The pack's own socket types, and the inputs and outputs that several nodes share so that they read alike everywhere.

CODEFORMER_MODEL, CODEFORMER_DETECTOR, CODEFORMER_PARSER and CODEFORMER_BACKGROUND carry a `HostedRestorer`, `HostedDetector`,
`HostedParser` and `HostedBackground`.
CODEFORMER_FACES carries a `codeformer_core.faces.AlignedFaces`: every face of every image of a batch, with its crop, its mask
and its place in the image. It is immutable. FACE_LANDMARKS is the host's: see `codeformer_core.detection.external`.

Inputs without a widget have no `display_name`, which the browser would show in every language: locales/ names them. Every
widget with a default is optional: API prompts leave it out, and saved prompts go on working when a node gains a widget.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.extras import Extras
from ..codeformer_core.options import FixOptions, OptionField, option_fields, with_values
from ..codeformer_core.options.fix import switch_word
from ..codeformer_core.pipeline import detect
from ..codeformer_core.recognition import People, describe_photo, is_installed
from .host import networks, tensors
from .host.execution import verdict

Model = io.Custom("CODEFORMER_MODEL")
Detector = io.Custom("CODEFORMER_DETECTOR")
Parser = io.Custom("CODEFORMER_PARSER")
Background = io.Custom("CODEFORMER_BACKGROUND")
Faces = io.Custom("CODEFORMER_FACES")
Landmarks = io.Custom("FACE_LANDMARKS")

CATEGORY = "image/face"

#: Words that people search for: the method, its rivals, the packs that they know, and what is wrong with the photo.
ALIASES = [
    *("codeformer", "face restore", "facerestore", "restore face", "fix face", "gfpgan", "reactor", "facedetailer"),
    *("face restoration", "restoreformer", "gpen", "face enhance", "deblur face", "blurry face", "old photo"),
    *("人脸修复", "面部修复", "脸部修复", "修脸", "老照片修复"),
]

MODEL = Model.Input("model", tooltip="The network that repairs faces. Connect Load CodeFormer.")
DETECTOR = Detector.Input("detector", tooltip="The network that finds faces. Connect Load Face Detector.")
PARSER = Parser.Input(
    "parser",
    optional=True,
    tooltip="Only needed for the blend 'face': tells skin and hair from background and clothes. Connect Load Face Parser.",
)
UPSCALERS = [
    io.UpscaleModel.Input(
        "upscale_model",
        optional=True,
        tooltip="Enlarges and sharpens the background. Connect Load Upscale Model, and set upscale to its factor.",
    ),
    io.UpscaleModel.Input(
        "face_upscale_model",
        optional=True,
        tooltip="Enlarges the repaired faces before they are pasted, so that they stay sharp when upscale is above 1. Connect "
        "Load Upscale Model.",
    ),
]

PERSON = io.Image.Input(
    "person",
    optional=True,
    tooltip="Only the person in this photo is repaired: one face, large and seen from the front. Several images are several "
    "photos, of one person or of several. Needs two packages: pip install dlib-bin face_recognition_models.",
)

FACES_OUTPUT = Faces.Output("faces", tooltip="The faces, cut out and upright. Connect CodeFormer Restore or Paste Faces Back.")
CROPS_OUTPUT = io.Image.Output("crops", tooltip="The faces as upright images, one for each. Without a face there is no output.")
MASK_OUTPUT = io.Mask.Output("mask_out", display_name="mask", tooltip="White where a face was pasted, black elsewhere.")
COUNT_OUTPUT = io.Int.Output("count", tooltip="How many faces were found and kept, over all images.")


def saved_output(name: str) -> io.Output:
    """Faces as JSON."""
    return io.String.Output(
        name,
        display_name="saved",
        tooltip="Where the faces are, as text (JSON) to keep or edit. Detect Faces accepts it in place of a search.",
    )


#: Widgets of the two nodes that do the whole job, in the order of the first version: saved workflows count on it.
FIRST_VERSION = (
    *("fidelity", "upscale", "choice", "mask", "match_style", "grey", "side", "confidence", "overlap", "eye_distance"),
    *("keep_detail", "colour", "largest", "tile", "steady", "strength", "chunk"),
)


def widget(name: str, option: OptionField) -> io.Input:
    """The input of an option: a switch, a list of choices, or a number with its range."""
    about = option.about
    common: dict[str, Any] = {"default": option.default, "tooltip": about.help, "optional": True}
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


def widgets(*names: str, of: Any = FixOptions()) -> list[io.Input]:
    """The inputs of these options, by the ids of their widgets."""
    known = _by_widget(of)
    return [widget(name, known[name]) for name in names]


def number_of_frames(name: str, tooltip: str, **more: Any) -> io.Input:
    """The input of a number of frames; 0 is the first one, or no limit."""
    return io.Int.Input(name, default=0, min=0, max=1 << 30, optional=True, tooltip=tooltip, **more)


def one_of_every(tooltip: str, **more: Any) -> io.Input:
    """The input that leaves out frames regularly."""
    return io.Int.Input(
        "every", display_name="one of every", default=1, min=1, max=1 << 20, optional=True, tooltip=tooltip, **more
    )


def new_widgets(*placed: str) -> list[io.Input]:
    """The inputs of the options that the nodes for the whole job have gained since the first version, without those placed."""
    return widgets(*(name for name in _by_widget(FixOptions()) if name not in (*FIRST_VERSION, *placed)))


def chosen(values: Mapping[str, Any], of: Any = FixOptions()) -> Any:
    """Options with the values of their widgets; the values of other inputs are left out."""
    known = _by_widget(of)
    return with_values(of, {known[name].path: value for name, value in values.items() if name in known})


def _by_widget(options: Any) -> dict[str, OptionField]:
    """Widget id -> option: those that the nodes for the whole job show, or all of a smaller group of options."""
    if not isinstance(options, FixOptions):
        return {option.path[-1]: option for option in option_fields(options)}
    return {option.widget: option for option in option_fields(options) if option.about.node}


def extras(values: Mapping[str, Any], people: People | None = None) -> Extras:
    """The optional networks among the inputs of the nodes that do the whole job."""
    models = [values.get(upscaler.id) for upscaler in UPSCALERS]
    upscaler, face_upscaler = (networks.HostedUpscaler(model) if model else None for model in models)
    return Extras(
        values.get("parser"), upscaler, face_upscaler, people=people or recognition(values.get("likeness", "off") != "off")
    )


def people(person: Tensor, detector: networks.HostedDetector) -> People:
    """Who is in photos (B, H, W, C), of which each shows one face.

    Raises:
        ValueError, ImportError: a photo shows none or several; the packages of the recogniser are not installed.
    """
    recogniser = networks.recogniser()
    photos, _ = tensors.to_core(person)
    rows = []
    for number, photo in enumerate(photos.split(1), 1):
        found, _ = detect(photo, detector, FixOptions())
        name = f"The reference photo {number}" if len(photos) > 1 else "The reference photo"
        rows.append(describe_photo(photo, found, recogniser, name))
    return People(recogniser, torch.cat(rows))


def people_in_video(options: FixOptions, person: Tensor | None, detector: networks.HostedDetector) -> People | None:
    """`people`; without a photo a recogniser for who leaves and returns, where that matters and its packages are there."""
    if person is not None:
        return people(person, detector)
    return recognition(options.selection.counts and is_installed())


def recognition(wanted: bool) -> People | None:
    """What tells people apart, where it is asked for."""
    return People(networks.recogniser()) if wanted else None


def whole_image(background_model: networks.HostedBackground | None, image: Tensor | None, task: str) -> Tensor | None:
    """The image that a background model is to work on, or that is passed on without one.

    Raises:
        ValueError: the model is for another task, or there is no image for it.
    """
    if background_model is not None:
        background_model.require_task(task)
        if image is None:
            raise ValueError(
                "Found a background model and no image. Expected the image that the faces were found in: connect it to image."
            )
    return image


def accept_saved_switch(keep_detail: Any) -> bool | str:
    """Whether a value of keep detail is one of its choices, or true or false, which workflows of the first version saved."""
    return verdict(switch_word, keep_detail)


def parse_face_numbers(text: str) -> tuple[tuple[int, ...], dict[int, tuple[int, ...]]]:
    """Numbers of faces -> those for every image, and those of single images by their index: "1, 3" or "1: 2; 2: 1, 3".

    Raises:
        ValueError: something else than numbers, or an image 0.
    """
    everywhere, *own = re.split(r"(\d+)\s*:", text)
    by_image = dict(zip(map(int, own[::2]), own[1::2], strict=True))
    if 0 in by_image:
        raise ValueError(f"Found image 0 in {text!r}. Images are counted from 1: use 1 for the first one.")
    whole = {image: tuple(map(int, parse_numbers(numbers, whole=True))) for image, numbers in by_image.items()}
    return tuple(map(int, parse_numbers(everywhere, whole=True))), {image - 1: whole[image] for image in whole}


def parse_fidelities(text: str) -> list[float | None]:
    """The fidelities in a text such as "0.3, -, 0.8": a "-" is a face without one of its own."""
    return [None if entry == "-" else parse_numbers(entry)[0] for entry in re.split(r"[\s,;]+", text) if entry]


def parse_numbers(text: str, whole: bool = False) -> list[float]:
    """The numbers in a text such as "1, 3" or "0.3 0.8"; none in an empty one.

    Raises:
        ValueError: something else than numbers.
    """
    entries = [entry for entry in re.split(r"[\s,;]+", text) if entry]
    pattern, example = (r"\d+", "1, 3") if whole else (r"\d+(\.\d*)?|\.\d+", "0.3, 0.8")
    for entry in entries:
        if not re.fullmatch(pattern, entry):
            raise ValueError(f"Found {entry!r} in a list of numbers. Expected numbers separated by commas, such as {example}.")
    return [float(entry) for entry in entries]
