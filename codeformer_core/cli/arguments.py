"""Everything that can be typed after `codeformer`, as one typed value."""

from dataclasses import dataclass
from pathlib import Path

from ..checkpoints import ModelFile
from ..options import FixOptions
from ..options.option import option
from .research import ResearchOptions
from .values import existing, existing_file, html_file, json_file, named

#: Keys of tables in modules that are slow to import; tests compare them.
CODECS = ("h264", "hevc", "av1", "vp9")
PRECISIONS = ("auto", "exact", "balanced", "fast")
ENGINES = ("torch", "openvino")

#: Format of the results -> how their names end; empty: as the input's.
FORMATS = {"keep": "", "png": ".png", "jpg": ".jpg", "webp": ".webp", "tiff": ".tif"}


#: One fidelity for all faces, or one for each.
Fidelity = float | tuple[float, ...]


@dataclass(frozen=True)
class Arguments:
    """A parsed command line, with the defaults of what was not typed.

    Attributes:
        command, action: which command, and which action of `codeformer models`.
        typed: the options that were typed, by path with dots, whatever their value.
        fidelities: several that each make a result; empty where there is one, which is in `options`.
    """

    command: str = ""
    action: str = "list"
    paths: tuple[Path, ...] = ()
    out: Path = Path()
    names: tuple[ModelFile, ...] = ()
    config: str = ""
    quiet: bool = False
    typed: frozenset[str] = frozenset()
    fidelities: tuple[Fidelity, ...] = ()
    options: FixOptions = FixOptions()
    research: ResearchOptions = ResearchOptions()

    fidelity_mask: Path | None = option(
        None, "Raises the fidelity to 1 in the white of MASK.", read=existing, group="restoration", metavar="MASK"
    )
    second_model: str | None = option(
        None,
        "Restores each face with this network too, and mixes the two faces by --mix.",
        group="restoration",
        metavar="MODEL",
    )
    mix: float = option(
        0.5,
        "With --second-model: 0 is the face of the first network, 1 that of the second.",
        span=(0.0, 1.0, 0.05),
        group="restoration",
    )
    keep_luminance: bool = option(False, "Changes only the hues; the luminance stays that of the image.", group="colours")
    background_colorizer: str | None = option(
        None,
        "Gives colours to the whole image, into which those of the faces fade: ddcolor, ddcolor-tiny or a DDColor file.",
        group="colours",
        metavar="MODEL",
    )
    holes: Path | None = option(None, "Fills the white of MASK.", read=existing, flag="--mask", group="holes", metavar="MASK")
    tolerance: int = option(
        8,
        "How far from white a brush stroke may be, of 255 levels, since JPEG changes colours. 0: pure white only.",
        span=(0, 255, 1),
        group="holes",
    )
    hole_feather: int = option(
        0, "Fades over this many pixels around the holes.", span=(0, 512, 1), flag="--feather", group="holes", metavar="PX"
    )
    background_inpainter: str | None = option(
        None,
        "Fills the holes outside the faces too, with this network: big-lama, mat, or the path of a file that spandrel knows.",
        group="holes",
        metavar="MODEL",
    )
    recursive: bool = option(False, "Looks into sub-folders, and makes the same ones in OUT.", group="files")
    suffix: str = option("", 'Added to the names of results: "fixed" makes photo_fixed.png.', group="files")
    overwrite: bool = option(False, "Does again what has a result, and replaces it. Inputs are never replaced.", group="files")
    page: int = option(
        0,
        "Which page of a TIFF file, or image of an animation, from 1. 0: the only one.",
        span=(0, 9999, 1),
        group="files",
        metavar="N",
    )
    format: str = option("keep", "The format of the results. keep: that of the input.", choices=tuple(FORMATS), group="images")
    aligned: bool = option(False, "The images are face crops already, aligned like the FFHQ data set.", group="images")
    save_crops: Path | None = option(
        None, "Also writes the crop of each face into this folder, before and after.", read=named, group="images", metavar="DIR"
    )
    draw_boxes: bool = option(False, "Draws the faces that were found into the results.", group="images")
    compare: bool = option(False, "Also writes NAME_compare: before on the left, after on the right.", group="seeing")
    gallery: Path | None = option(
        None,
        "Writes one page with all images before and after, to open in a browser; gallery.html in OUT if no FILE is given.",
        read=html_file,
        group="seeing",
        metavar="FILE.html",
        alone=Path(),
    )
    report: Path | None = option(
        None, "Writes what became of every file and every face.", read=json_file, group="files", metavar="FILE.json"
    )
    side: int = option(512, "Width and height of the face crops.", span=(16, 4096, 1), group="crops", metavar="PX")
    start: float = option(0.0, "Begins at this second.", limits=(0, 1e9), group="videos", metavar="S")
    duration: float = option(0.0, "Only this many seconds. 0: to the end.", limits=(0, 1e9), group="videos", metavar="S")
    resume: bool = option(
        True,
        "",
        switches=(
            ("--resume", True, "Works in parts that outlast a crash: the same command goes on where it was stopped (default)."),
            ("--no-resume", False, "Works in one go, which needs no room for the parts."),
        ),
        group="videos",
    )
    fps: float = option(
        0.0,
        "Frames per second of the result, at the same speed: frames are left out or repeated; of numbered images how fast they "
        "play. 0: as in the video; 25 for numbered images.",
        limits=(0, 1000),
        group="videos",
    )
    codec: str | None = option(
        None,
        "h264 plays everywhere; hevc and av1 make smaller files; vp9 keeps transparency, in WebM and Matroska (default: "
        "h264, in WebM av1; vp9 for transparent videos in either).",
        choices=CODECS,
        group="videos",
    )
    crf: int | None = option(
        None, "Quality: lower is better and larger (default: a hardly visible loss).", span=(0, 63, 1), group="videos"
    )
    preset: str = option(
        "medium", "Slower ones make smaller files of the same quality.", choices=("fast", "medium", "slow"), group="videos"
    )
    hardware: bool = option(
        False,
        "Encodes on the graphics card (NVENC, Quick Sync, AMF, VideoToolbox), which is faster and makes larger files; where "
        "none can, on the processor, which is said.",
        group="videos",
    )
    bg_upscaler: str | None = option(
        None,
        "Enlarges the image with this network, as much as it can unless --upscale says how much; --upscale 1 only cleans it.",
        group="size",
        metavar="MODEL",
    )
    face_upscaler: str | None = option(
        None, "Enlarges the restored faces with this network, as much as the image.", group="size", metavar="MODEL"
    )
    save_faces: Path | None = option(
        None,
        "Writes where the faces are, for one image, or in each frame of one video.",
        read=json_file,
        group="saved faces",
        metavar="FILE.json",
    )
    faces_from: Path | None = option(
        None,
        "Takes the faces from such a file instead of searching.",
        read=existing_file,
        group="saved faces",
        metavar="FILE.json",
    )
    inside: Path | None = option(None, "Only faces in the white of MASK.", read=existing, group="selection", metavar="MASK")
    keep_out: Path | None = option(
        None, "Changes nothing in the white of MASK.", read=existing, group="pasting", metavar="MASK"
    )
    like: tuple[Path, ...] = option(
        (),
        "Only the person in this photo, which shows one face; or of people.json, which `codeformer people` writes, those of "
        "--person. May be repeated, for several people or several photos of one.",
        read=existing_file,
        group="selection",
        metavar="PHOTO",
    )
    person: tuple[int, ...] = option(
        (), "With --like people.json: the people with these numbers.", span=(1, 1_000_000, 1), group="selection", metavar="N,N"
    )
    keep_out_model: str | None = option(
        None,
        "Changes nothing where this network sees something in front of a face: an occluder in an ONNX file, 256 x 256 in "
        "and one channel out, such as xseg_1.onnx.",
        group="pasting",
        metavar="FILE",
    )
    model: str | None = option(
        None,
        "The network (default: codeformer, codeformer-colorization or codeformer-inpainting; until codeformer is installed, "
        "the starter model).",
        group="models",
    )
    detector: str | None = option(
        None,
        "retinaface-resnet50, retinaface-mobile0.25, yunet, mtcnn or dlib (default: the first that is installed; mtcnn "
        "always is).",
        group="models",
    )
    parser: str = option("parsenet", "For --mask face and --parts: parsenet or bisenet.", group="models")
    weights: tuple[Path, ...] = option(
        (), "Looks here first, and downloads into it; may be repeated.", read=named, group="models", metavar="FOLDER"
    )
    download: bool = option(False, "Downloads model files that are missing.", group="models")
    device: str = option("auto", "auto, cpu, cuda, cuda:1, mps, ...", group="speed")
    precision: str = option(
        "auto",
        "exact: as published. balanced: the same face, drawn in bfloat16. fast: nearly all in bfloat16, the face may differ. "
        "auto: balanced where the device gains from it, else exact.",
        choices=PRECISIONS,
        group="speed",
    )
    compile: bool = option(
        False,
        "Compiles the network with PyTorch first. That takes a minute or more and gains nothing on a CPU: for long work on "
        "a GPU. `python -m benchmarks --steps 'restore,compile,restore compiled'` measures the gain on yours.",
        group="speed",
    )
    engine: str = option(
        "torch",
        "What computes a CodeFormer. openvino (pip install openvino) is for processors with AMX, where --precision fast takes "
        "a third less time and balanced a tenth, from some 40 faces on: converting the network takes as long as two.",
        choices=ENGINES,
        group="speed",
    )
    cluster: str | None = option(
        None,
        "Works on a Ray cluster: local (this machine), auto (the one that this machine belongs to) or its address.",
        group="cluster",
        metavar="ADDRESS",
    )
    workers: int = option(
        0,
        "So many at a time, which share out the cores. 0: one for each GPU, or each core.",
        span=(0, 100_000, 1),
        group="cluster",
        metavar="N",
    )
    gpus_per_worker: float | None = option(
        None,
        "The share of a GPU that each worker has; below 1 several share one (default: 1, without GPUs 0).",
        limits=(0, 64),
        group="cluster",
        metavar="G",
    )
