"""Options that select among the detected faces."""

from dataclasses import dataclass

from .option import check_options, option

#: How the faces of an image are counted; the keys are `selection.select.ORDERS`.
ORDERS = ("found", "size", "left", "top", "confidence", "center", "smallest", "right", "bottom", "uncertain")

#: Which of the faces of an image are candidates at all.
CHOICES = ("all", "largest", "center")

#: A face whose sharpness is below this gains from a restoration. Chosen between the degraded and the clean faces of the test
#: data (omi, five each): 0.37 to 0.41 and 0.87 to 1.14. Of 19 faces from 96 px on in good photographs one, soft, has 0.58 and
#: the others 0.92 to 1.88. With noise of 15 / 255 on top the degraded stay below 0.64: detail counts, not grain.
BLURRED = 0.65


@dataclass(frozen=True)
class Selection:
    """Options that select faces, in each image by itself, of a video once in each shot; 0 or empty sets no limit.

    Faces are put in order, then left out by `numbers`, as duplicates, by the limits, and last by `first` and `count`. Numbers
    count among all faces of the image, so that no limit shifts them; as found, they are those of the preview. "largest" and
    "center" set `order` and `count`. Sizes are of the longer side of the box.
    """

    choice: str = option(
        "all",
        "In every image, or once in each shot of a video: all faces, only the largest, or only the one nearest to the centre.",
        choices=CHOICES,
        label="which faces",
        advanced=False,
        switches=(
            ("--only-center", "center", "Only the face nearest to the centre of each image."),
            ("--only-largest", "largest", "Only the largest face of each image."),
        ),
    )
    order: str = option(
        "found",
        "What the faces of an image are counted by. found: in the order of detection, as in the preview; size: from the "
        "largest; left, top, right, bottom: from that side; confidence: from the most certain; center: from the middle; "
        "smallest, uncertain: size and confidence the other way round.",
        choices=ORDERS,
        advanced=False,
        node=False,
    )
    numbers: tuple[int, ...] = option(
        (),
        "Only the faces with these numbers, counted from 1 in that order.",
        flag="--faces",
        limits=(1, 0),
        node=False,
        metavar="N,N",
    )
    first: int = option(1, "Begins with this one of the faces that are left.", span=(1, 10000, 1), advanced=False, node=False)
    count: int = option(0, "How many faces to keep. 0 keeps all.", span=(0, 10000, 1), advanced=False, node=False)
    min_size: float = option(
        0.0,
        "Leaves smaller faces alone: the box's longer side in pixels. 0 is no limit.",
        span=(0.0, 16384, 1.0),
        label="smallest size",
        node=False,
        limits=(0, 1e6),
        metavar="PX",
    )
    max_size: float = option(
        0,
        "Leaves faces alone that are larger than this many pixels in the image: they may have more detail than the network "
        "gives. 0 sets no limit.",
        span=(0, 16384, 1),
        label="skip larger than",
        widget="largest",
        limits=(0, 1e6),
        metavar="PX",
        flag="--max-size --skip-larger-than",
    )
    min_percent: float = option(
        0.0,
        "Leaves faces alone that are smaller than this percentage of the image's shorter side. 0 sets no limit.",
        span=(0.0, 100, 0.5),
        label="smallest size in percent",
        node=False,
        limits=(0, 1e6),
        metavar="P",
    )
    max_percent: float = option(
        0.0,
        "Leaves faces alone that are larger than this percentage of the image's shorter side. 0 sets no limit.",
        span=(0.0, 200, 0.5),
        label="largest size in percent",
        node=False,
        limits=(0, 1e6),
        metavar="P",
    )
    eye_distance: float = 0.0
    confidence: float = option(
        0.0,
        "Only faces of which the detector is at least this sure. 0 sets no limit.",
        span=(0.0, 1.0, 0.01),
        node=False,
        command_line=False,
    )
    sharpness: float = option(
        0.0,
        "Leaves faces alone that are good already: only those below this sharpness are kept. Blurred faces have about 0.4, "
        f"clear ones about 1; {BLURRED:g} separates them. 0 keeps all.",
        span=(0.0, 2.0, 0.05),
        label="only if less sharp than",
        flag="--only-blurred",
        advanced=False,
        node=False,
        limits=(0, 10),
        alone=BLURRED,
    )
    inside: float = option(
        0.5,
        "Only with a mask: how much of a face must lie inside it.",
        span=(0.0, 1.0, 0.05),
        label="share inside the mask",
        node=False,
        command_line=False,
    )
    duplicates: bool = option(
        False,
        "Keeps every box, even when several lie on one face.",
        label="keep duplicates",
        flag="--keep-duplicates",
        node=False,
    )
    distance: float = option(
        0.5,
        "With a person to look for: how far a face may be from theirs. The faces of one person are 0.1 to 0.5 apart, those of "
        "others mostly 0.6 to 1. Lower it when others are chosen, raise it when the person is missed.",
        span=(0.0, 2.0, 0.01),
        label="largest distance",
        flag="--like-distance",
        node=False,
    )
    others: bool = option(
        False,
        "With a person to look for: everyone but them.",
        label="everyone else",
        flag="--unlike",
        advanced=False,
        node=False,
    )

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def counts(self) -> bool:
        """Whether faces are chosen by their number or place among the others."""
        return bool(self.choice != "all" or self.numbers or self.count or self.first > 1)
