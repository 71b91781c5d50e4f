"""Everything that can be typed after `codeformer`, as one typed value; what goes together and what does not."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NewType

from ..checkpoints import ModelFile
from ..options import FixOptions, option_fields
from ..options.option import option

#: Paths that are checked while they are parsed, see `values`.
ExistingPath = NewType("ExistingPath", Path)
JsonPath = NewType("JsonPath", Path)

#: Rows of tables of the core whose modules are slow to import; a test holds them together.
CODECS = ("h264", "hevc", "av1")
PRECISIONS = ("auto", "exact", "balanced", "fast")

#: What may be asked for instead of the input's own format, and how such files end.
FORMATS = {"keep": "", "png": ".png", "jpg": ".jpg", "webp": ".webp", "tiff": ".tif"}


@dataclass(frozen=True)
class Arguments:
    """What was typed, with the defaults of what was not.

    Attributes:
        command: which command.
        done: what happens to a face, as the report says it: "restored".
        typed: the options that were typed, by path with dots, whatever their value.
    """

    command: str = ""
    done: str = ""
    paths: tuple[Path, ...] = ()
    out: Path = Path()
    names: tuple[ModelFile, ...] = ()
    config: str = ""
    typed: frozenset[str] = frozenset()
    options: FixOptions = FixOptions()

    fidelity_mask: ExistingPath | None = option(
        None,
        "Raises the fidelity to 1 in the white of this picture; or a folder of such.",
        group="restoration",
        metavar="MASK",
    )
    keep_luminance: bool = option(False, "Only the hues are new; the luminance stays the picture's.", group="colours")
    holes: ExistingPath | None = option(
        None, "White where to fill; or a folder of such, of the same names.", flag="--mask", group="holes", metavar="MASK"
    )
    tolerance: int = option(
        8,
        "Levels of 255 that a stroke may be off white, for JPEG; 0: pure white only.",
        span=(0, 255, 1),
        group="holes",
    )
    hole_feather: int = option(
        0, "Fade over so many pixels around.", span=(0, 512, 1), flag="--feather", group="holes", metavar="PX"
    )
    recursive: bool = option(False, "Look into sub-folders, and make the same ones in OUT.", group="files")
    suffix: str = option("", 'Added to names: "fixed" makes photo_fixed.png.', group="files")
    format: str = option("keep", "Of the results; keep: as the input.", choices=tuple(FORMATS), group="images")
    overwrite: bool = option(False, "Replace results that exist (inputs never are).", group="files")
    aligned: bool = option(False, "The pictures are cut-out faces in the FFHQ pose already.", group="images")
    quiet: bool = option(False, "Say only what went wrong.", flag="-q --quiet", group="files")
    save_crops: Path | None = option(None, "Also write each face as cut out and as changed.", group="images", metavar="DIR")
    draw_boxes: bool = option(False, "Draw the faces that were found into the results.", group="images")
    side: int = option(512, "Of the faces.", span=(16, 4096, 1), group="crops", metavar="PX")
    start: float = option(0.0, "Begin at this second.", limits=(0, 1e9), group="videos", metavar="S")
    duration: float = option(0.0, "Only so many seconds; 0: to the end.", limits=(0, 1e9), group="videos", metavar="S")
    codec: str | None = option(
        None,
        "h264 plays everywhere, hevc and av1 make smaller files (default: h264, in WebM av1).",
        choices=CODECS,
        group="videos",
    )
    crf: int | None = option(
        None, "Quality: lower is better and larger (default: hardly visible loss).", span=(0, 63, 1), group="videos"
    )
    bg_upscaler: str | None = option(
        None, "Enlarge (or, at 1, clean) the picture with this network.", group="size", metavar="MODEL"
    )
    face_upscaler: str | None = option(
        None, "Draw restored faces with this network, as large as the result is.", group="size", metavar="MODEL"
    )
    save_faces: JsonPath | None = option(
        None, "Write where the faces are (of one picture).", group="saved faces", metavar="FILE.json"
    )
    faces_from: ExistingPath | None = option(
        None, "Do not search: take faces from such a file.", group="saved faces", metavar="FILE.json"
    )
    inside: ExistingPath | None = option(
        None, "Only faces in the white of this picture; or a folder of such.", group="selection", metavar="MASK"
    )
    keep_out: ExistingPath | None = option(
        None, "The white of this picture stays as it was; or a folder of such.", group="pasting", metavar="MASK"
    )
    model: str | None = option(
        None,
        "The network (default codeformer, codeformer-colorization or codeformer-inpainting; until codeformer is here, the "
        "starter model).",
        group="models",
    )
    detector: str = option("retinaface-resnet50", "retinaface-resnet50, retinaface-mobile0.25 or yunet.", group="models")
    parser: str = option("parsenet", "For --mask face and --parts: parsenet or bisenet.", group="models")
    weights: tuple[Path, ...] = option(
        (), "Look here first, and fetch into it; may be repeated.", group="models", metavar="FOLDER"
    )
    download: bool = option(False, "Fetch model files that are missing.", group="models")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps, ...", group="speed")
    precision: str = option(
        "auto",
        "exact: as published; balanced: the same face, drawn in bfloat16; fast: all in bfloat16, the face may differ; "
        "auto: balanced where the device gains from it, else exact.",
        choices=PRECISIONS,
        group="speed",
    )
    compile: bool = option(
        False,
        "Let PyTorch compile the network first: it takes a minute or more and brings nothing on a CPU. For long work "
        "on a GPU; `python -m benchmarks --steps 'restore,compile,restore compiled'` shows what it brings on yours.",
        group="speed",
    )


#: What contradicts itself, and what to do: (whether the arguments do, a sentence).
_CONTRADICTIONS: tuple[tuple[Callable[[Arguments], bool], str], ...] = (
    (
        lambda a: (
            a.options.selection.choice != "all"
            and bool(a.options.selection.numbers or a.options.selection.count or a.options.selection.first > 1)
        ),
        "--only-center and --only-largest choose one face: leave out --faces, --first and --count, or use --order.",
    ),
    (
        lambda a: a.options.selection.choice != "all" and "options.selection.order" in a.typed,
        "--only-center and --only-largest count the faces in their own order: leave out --order.",
    ),
    (
        lambda a: bool(a.faces_from and (a.options.detection.rotated or a.options.detection.tile)),
        "--faces-from does not search: leave out --rotated and --tiles.",
    ),
    (
        lambda a: bool(a.faces_from and a.save_faces and a.faces_from.resolve() == a.save_faces.resolve()),
        "--save-faces would write over the file that --faces-from reads: name another file.",
    ),
    (
        lambda a: not a.options.parts and bool(a.options.grow or a.options.feather),
        "--grow and --feather shape the parts of a face: say which with --parts.",
    ),
    (
        lambda a: a.holes is not None and "tolerance" in a.typed,
        "--tolerance is for white brush strokes, which --mask takes the place of: leave out one of them.",
    ),
    (
        lambda a: a.command == "video" and isinstance(a.options.fidelity, tuple),
        "--fidelity of a video is one number for all faces: leave out the others.",
    ),
)

#: What makes no sense for images that are aligned faces already: groups of options, and single ones.
_NOT_ALIGNED = ("detection", "selection", "saved faces")
_NOT_ALIGNED_OPTIONS = ("save_crops", "draw_boxes", "keep_detail", "upscale", "bg_upscaler", "mask")


def contradiction(arguments: Arguments) -> str | None:
    """Why options do not go together, in a sentence; None where they do."""
    if arguments.aligned:
        before = {field.path: field.default for field in option_fields(Arguments())}
        useless = [
            field.flags[0] if not field.about.switches else " or ".join(flag for flag, _ in field.about.switches)
            for field in option_fields(arguments)
            if (field.group in _NOT_ALIGNED or field.path[-1] in _NOT_ALIGNED_OPTIONS) and field.default != before[field.path]
        ]
        if useless:
            return f"--aligned leaves nothing to do for {', '.join(useless)}. Leave out one of them."
    return next((sentence for contradicts, sentence in _CONTRADICTIONS if contradicts(arguments)), None)
