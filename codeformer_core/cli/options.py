"""The options that commands share, group by group. Nothing heavy is imported, so that help is quick.

Each function gives the options that make no sense for pictures that are aligned faces already.
"""

import argparse

from .values import between, existing, json_file, named, numbers, several, whole

#: Rows of tables of the core, which this file must not import; a test holds them together.
FORMATS = ("keep", "png", "jpg", "webp", "tiff")

ORDERS = ("found", "size", "left", "top", "confidence", "center")

MASKS = ("square", "face", "box")

COLOURS = ("as-restored", "mean-and-spread", "coarse-colours")

PARTS = (
    "skin", "brows", "eyes", "glasses", "ears", "earrings", "nose", "mouth", "lips", "hair", "hat", "neck", "necklace", "cloth",
)  # fmt: skip

BLURRED = 0.65

CODECS = ("h264", "hevc", "av1")

STRENGTH = 0.8

PRECISIONS = ("auto", "exact", "balanced", "fast")

Whole = list[argparse.Action]


def files(parser: argparse.ArgumentParser) -> Whole:
    """What is read and written."""
    parser.add_argument(
        "paths", nargs="+", type=named, metavar="PATH", help="pictures (PNG, JPEG, WebP, BMP, TIFF) and folders of them"
    )
    group = parser.add_argument_group("files")
    group.add_argument("-o", "--out", type=named, required=True, help="folder for the results; or a file, for one picture")
    group.add_argument("--recursive", action="store_true", help="look into sub-folders, and make the same ones in OUT")
    group.add_argument("--suffix", default="", help='added to names: "fixed" makes photo_fixed.png')
    group.add_argument("--format", choices=FORMATS, default="keep", help="of the results (default: as the input)")
    group.add_argument("--overwrite", action="store_true", help="replace results that exist (inputs never are)")
    group.add_argument("--aligned", action="store_true", help="the pictures are cut-out faces in the FFHQ pose already")
    group.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")
    return [
        group.add_argument("--save-crops", type=named, metavar="DIR", help="also write each face as cut out and as changed"),
        group.add_argument("--draw-boxes", action="store_true", help="draw the faces that were found into the results"),
    ]


def videos(parser: argparse.ArgumentParser) -> None:
    """What is read and written, of videos."""
    parser.add_argument(
        "paths", nargs="+", type=named, metavar="PATH", help="videos (MP4, MOV, MKV, WebM, ...) and folders of them"
    )
    add = parser.add_argument_group("files").add_argument
    add("-o", "--out", type=named, required=True, help="folder for the results; or a file, for one video")
    add("--recursive", action="store_true", help="look into sub-folders, and make the same ones in OUT")
    add("--suffix", default="", help='added to names: "fixed" makes clip_fixed.mp4')
    add("--overwrite", action="store_true", help="replace results that exist (inputs never are)")
    add("-q", "--quiet", action="store_true", help="say only what went wrong")
    add("--start", type=between(0, 1e9), default=0.0, metavar="S", help="begin at this second (default 0)")
    add("--duration", type=between(0, 1e9), default=0.0, metavar="S", help="only so many seconds (default 0: to the end)")
    add("--codec", choices=CODECS, help="h264 plays everywhere, hevc and av1 make smaller files (default: h264, in WebM av1)")
    add("--crf", type=whole(0), metavar="N", help="quality: lower is better and larger (default: hardly visible loss)")
    parser.set_defaults(format="keep", aligned=False, save_crops=None, save_faces=None, faces_from=None, draw_boxes=False)


def steadiness(parser: argparse.ArgumentParser) -> None:
    """How faces are followed over time."""
    add = parser.add_argument_group(
        "steadiness", "faces are followed from frame to frame, so that they do not flicker"
    ).add_argument
    add("--frame-by-frame", action="store_true", help="do not follow: treat every frame as a picture")
    add(
        "--temporal-strength",
        type=between(0, 1),
        default=STRENGTH,
        metavar="T",
        help=f"how much the frames before and after count for a face's details (default {STRENGTH}; 0: not at all)",
    )
    add("--chunk", type=whole(1), default=8, metavar="N", help="frames in memory at once (default 8)")


def restoring(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> Whole:
    """How restored faces look, beside the fidelity."""
    add = parser.add_argument
    add("--no-match-style", dest="match_style", action="store_false", help="do not keep the face's colours and contrast")
    add("--grey", choices=("auto", "on", "off"), default="auto", help="faces in grey (default: when the picture is grey)")
    add("--colour", choices=COLOURS, default="as-restored", help="match the face's colours to the picture's")
    return [add("--keep-detail", action="store_true", help="keep the picture's own detail in faces above 512 px")]


def sizing(parser: argparse.ArgumentParser) -> Whole:
    """How large the result is, and what enlarges it."""
    add = parser.add_argument_group(
        "size", "upscalers are realesrgan-x2plus, realesrgan-x4plus or the path of a file"
    ).add_argument
    size = between(0, 8, above=True)
    of_whole = [
        add("--upscale", type=size, metavar="S", help="size of the result (default 1, or that of --bg-upscaler)"),
        add("--bg-upscaler", metavar="MODEL", help="enlarge (or, at 1, clean) the picture with this network"),
    ]
    add("--face-upscaler", metavar="MODEL", help="draw restored faces with this network, as large as the result is")
    add("--bg-tile", type=whole(16, zero=True), default=400, metavar="PX", help="pixels at once (default 400; 0: all)")
    return of_whole


def finding(parser: argparse.ArgumentParser) -> Whole:
    """How faces are found."""
    group = parser.add_argument_group("finding faces")
    add = group.add_argument
    return [
        add("--detection-side", type=whole(16), default=640, metavar="PX", help="short side for detection (default 640)"),
        add("--confidence", type=between(0, 1), default=0.8, help="drop faces that are less certain (default 0.8)"),
        add("--overlap", type=between(0, 1), default=0.4, help="of faces that overlap more, keep one (default 0.4)"),
        add("--rotated", action="store_true", help="also find faces that lie or hang (four times the work)"),
        add(
            "--tiles",
            type=whole(64),
            nargs="?",
            const=640,
            default=0,
            metavar="PX",
            help="also search tiles of PX pixels (640 if left out), for tiny faces in large pictures",
        ),
    ]


def known_faces(parser: argparse.ArgumentParser) -> Whole:
    """Where faces are, from one run to the next."""
    add = parser.add_argument_group("faces in files").add_argument
    return [
        add("--save-faces", type=json_file, metavar="FILE.json", help="write where the faces are (of one picture)"),
        add("--faces-from", type=existing, metavar="FILE.json", help="do not search: take faces from such a file"),
    ]


def choosing(parser: argparse.ArgumentParser) -> Whole:
    """Which of the faces that were found are worked on."""
    parser.set_defaults(choice="all")
    group = parser.add_argument_group("which faces", "all, unless something is said here")
    which = group.add_mutually_exclusive_group()
    add = group.add_argument
    positive = between(0, 1e6)
    return [
        which.add_argument("--only-center", dest="choice", action="store_const", const="center", help="the most central one"),
        which.add_argument("--only-largest", dest="choice", action="store_const", const="largest", help="the largest one"),
        which.add_argument("--order", choices=ORDERS, help="how faces are counted (default: as found)"),
        add("--faces", type=numbers, default=(), metavar="N,N", help="those with these numbers, in that order, from 1"),
        add("--first", type=whole(1), default=1, metavar="N", help="of those that are left, from the Nth on"),
        add("--count", type=whole(0), default=0, metavar="N", help="of those that are left, so many (default 0: all)"),
        add("--min-size", type=positive, default=0.0, metavar="PX", help="skip boxes whose longer side is smaller"),
        add(
            "--max-size",
            "--skip-larger-than",
            type=positive,
            default=0.0,
            metavar="PX",
            help="skip boxes whose longer side is larger: a crop has 512 pixels (default 0: none)",
        ),
        add(
            "--min-percent", type=positive, default=0.0, metavar="P", help="--min-size in percent of the picture's shorter side"
        ),
        add(
            "--max-percent", type=positive, default=0.0, metavar="P", help="--max-size in percent of the picture's shorter side"
        ),
        add("--eye-distance", type=positive, default=5.0, metavar="PX", help="skip faces whose eyes are closer (default 5)"),
        add("--inside", type=existing, metavar="MASK", help="only faces in the white of this picture; or a folder of such"),
        add(
            "--only-blurred",
            type=between(0, 10, above=True),
            nargs="?",
            const=BLURRED,
            default=0.0,
            metavar="SHARPNESS",
            help=f"only faces less sharp than this ({BLURRED} if left out; 1 has crisp edges)",
        ),
        add("--keep-duplicates", action="store_true", help="work on a face once for each of its boxes, as the reference does"),
    ]


def pasting(parser: argparse.ArgumentParser) -> Whole:
    """Where the changed face covers the picture."""
    group = parser.add_argument_group("where a face is pasted")
    add = group.add_argument
    style = add(
        "--mask", choices=MASKS, default="square", help="the reference's square (default), the face alone, or a soft box"
    )
    add("--parts", type=several(PARTS), metavar="PART,PART", help=f"only these: {', '.join(PARTS)}")
    add("--grow", type=whole(), default=0, metavar="PX", help="move the edge of the parts; a negative number shrinks")
    add("--feather", type=whole(0), default=0, metavar="PX", help="soften the edge of the parts")
    add("--blend", type=between(0, 1), default=1.0, metavar="B", help="0: the picture as it was, 1: the new face (default)")
    add("--keep-out", type=existing, metavar="MASK", help="the white of this picture stays as it was; or a folder of such")
    return [style]


def models(parser: argparse.ArgumentParser, restorer: str | None, parts: bool) -> None:
    """The networks and what they run on.

    Args:
        restorer: the catalogue's name of the command's own network; None for a command that restores nothing.
        parts: whether the command may need a parser.
    """
    group = parser.add_argument_group("models", "names as in `codeformer models list`, or paths of files")
    if restorer:
        instead = "; until that is here, the starter model" if restorer == "codeformer" else ""
        group.add_argument("--model", help=f"the network (default {restorer}{instead})")
    group.add_argument(
        "--detector", default="retinaface-resnet50", help="retinaface-resnet50 (default), retinaface-mobile0.25 or yunet"
    )
    if parts:
        group.add_argument("--parser", default="parsenet", help="for --mask face and --parts: parsenet (default) or bisenet")
    weights(group)
    group.add_argument("--download", action="store_true", help="fetch model files that are missing")
    group.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps, ...")
    if restorer:
        group.add_argument(
            "--precision",
            choices=PRECISIONS,
            default="auto",
            help="exact: as published; balanced: the same face, drawn in bfloat16; fast: all in bfloat16, the face may differ; "
            "auto (default): balanced where the device gains from it, else exact",
        )
        group.add_argument(
            "--compile",
            action="store_true",
            help="let PyTorch compile the network first: it takes a minute or more and brings nothing on a CPU. For long work "
            "on a GPU; `python -m benchmarks --steps 'restore,compile,restore compiled'` shows what it brings on yours",
        )
        group.add_argument(
            "--batch", type=whole(1), metavar="N", help="faces at once (default: 1 on the CPU, elsewhere what fits into memory)"
        )


def weights(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Where model files lie."""
    parser.add_argument(
        "--weights",
        type=named,
        action="append",
        default=[],
        metavar="FOLDER",
        help="look here first, and fetch into it; may be repeated",
    )
