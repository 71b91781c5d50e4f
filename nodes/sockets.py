"""The pack's own socket types, and the inputs that several nodes share so that they read alike everywhere.

CODEFORMER_MODEL, CODEFORMER_DETECTOR and CODEFORMER_PARSER carry a `HostedRestorer`, `HostedDetector` and `HostedParser`.
CODEFORMER_FACES carries a `codeformer_core.faces.AlignedFaces`: every face of every picture of a batch, with its crop, its mask
and where it came from. It is never changed, only replaced. FACE_LANDMARKS is the host's: see `codeformer_core.sources`.

Inputs without a widget have no `display_name`, which the browser would show in every language: locales/ names them.
"""

import re

from comfy_api.latest import io

from ..codeformer_core.colour import COLOURS
from ..codeformer_core.faces import DetectionOptions
from ..codeformer_core.masks import MASKS
from ..codeformer_core.selection import CHOICES

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

DEFAULTS = DetectionOptions()


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


def choice_input() -> io.Input:
    """Which of the faces found in each picture are kept."""
    return io.Combo.Input(
        "choice",
        options=list(CHOICES),
        default="all",
        display_name="which faces",
        tooltip="In every picture: all faces, only the largest, or only the one nearest to the centre.",
    )


def detection_inputs() -> list[io.Input]:
    """How faces are searched, in the order of `DetectionOptions`."""
    return [
        io.Int.Input(
            "side",
            display_name="search size",
            default=DEFAULTS.side,
            min=64,
            max=4096,
            step=32,
            advanced=True,
            tooltip="The short side, in pixels, at which a picture is searched; the result keeps its own size. Larger finds "
            "smaller faces and takes longer. Faces that fill the picture need a small value.",
        ),
        io.Float.Input(
            "confidence",
            default=DEFAULTS.confidence,
            min=0.05,
            max=1.0,
            step=0.01,
            advanced=True,
            tooltip="How sure the detector must be. Lower it when faces are missed, raise it when other things are found.",
        ),
        io.Float.Input(
            "overlap",
            default=DEFAULTS.overlap,
            min=0.0,
            max=1.0,
            step=0.01,
            advanced=True,
            tooltip="Finds that cover each other by more than this share are one face. Lower it when a face is found twice.",
        ),
        io.Float.Input(
            "eye_distance",
            display_name="smallest eye distance",
            default=DEFAULTS.eye_distance,
            min=0.0,
            max=1000.0,
            step=0.5,
            advanced=True,
            tooltip="Faces whose eyes are closer than this many pixels of the picture are left alone: they are too small, or "
            "seen from the side.",
        ),
    ]


def fidelity_input() -> io.Input:
    """The fidelity weight w."""
    return io.Float.Input(
        "fidelity",
        default=0.5,
        min=0.0,
        max=1.0,
        step=0.01,
        display_mode=io.NumberDisplay.slider,
        tooltip="0 gives the cleanest face, which may look like somebody else; 1 stays closest to the person in the picture "
        "and keeps more of the damage. Start at 0.5; take more when the likeness matters.",
    )


def style_inputs() -> list[io.Input]:
    """How restored faces take over the colours of the picture."""
    return [
        io.Boolean.Input(
            "match_style",
            display_name="match colours",
            default=True,
            advanced=True,
            tooltip="Gives the restored face the colours and contrast of the original one. Turn it off only to get what packs "
            "without this step produce.",
        ),
        io.Combo.Input(
            "grey",
            display_name="black and white",
            options=["auto", "on", "off"],
            default="auto",
            advanced=True,
            tooltip="Black-and-white pictures stay black and white. auto looks at the picture; on and off decide for it.",
        ),
    ]


def mask_input() -> io.Input:
    """The mask style."""
    return io.Combo.Input(
        "mask",
        display_name="blend",
        options=list(MASKS),
        default="square",
        tooltip="What of the restored face goes into the picture. square: the whole crop with a soft edge. face: only face and "
        "hair, not the background (needs a parser). box: a wide feather all round, the softest transition.",
    )


def colour_input() -> io.Input:
    """A row of `COLOURS`."""
    return io.Combo.Input(
        "colour",
        display_name="colours",
        options=list(COLOURS),
        default=next(iter(COLOURS)),
        optional=True,
        advanced=True,
        tooltip="How the pasted face follows the colours of the original. as restored: as it is; mean and spread: the same "
        "colours and contrast over the whole face; coarse colours: the same colours everywhere, with the new detail.",
    )


def detail_input() -> io.Input:
    """Whether large faces keep their detail."""
    return io.Boolean.Input(
        "keep_detail",
        display_name="keep detail",
        default=False,
        optional=True,
        tooltip="For faces that are larger in the picture than the 512 pixels of the network: where nothing had to be repaired "
        "the picture keeps its own fine detail, so that the face does not get softer.",
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
    """Faces on their way to the next node."""
    return Faces.Output(
        "faces", tooltip="The faces, cut out and turned upright. Connect CodeFormer Restore or Paste Faces Back."
    )


def crops_output(what: str) -> io.Output:
    """Faces as pictures of their own."""
    return io.Image.Output("crops", tooltip=f"{what} as pictures of their own, upright. Without a face nothing comes out.")


def saved_output(name: str = "saved") -> io.Output:
    """Faces as text."""
    return io.String.Output(
        name,
        display_name="saved",
        tooltip="Where the faces are, as text (JSON) to keep or edit. Detect Faces takes it back instead of searching.",
    )


def mask_output() -> io.Output:
    """Where the picture was changed."""
    return io.Mask.Output(
        "mask_out", display_name="mask", tooltip="White where a face was pasted, black where nothing changed."
    )


def count_output() -> io.Output:
    """How many faces."""
    return io.Int.Output("count", tooltip="How many faces were found and kept, over all pictures.")
