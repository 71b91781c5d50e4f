"""The commands: what each does, with which groups of options, and which module is called."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

#: The headings of the help: group of options -> (title, what is said below it).
GROUPS: dict[str, tuple[str, str | None]] = {
    "files": ("files", None),
    "images": ("images", None),
    "seeing": ("seeing the results", None),
    "crops": ("face crops", None),
    "videos": ("videos", None),
    "restoration": (
        "restoration",
        "one fidelity for all faces, or one for each in their order, such as 0.3,0.8 (in a video the last is for all further "
        "ones); several, such as -w 0.3 -w 0.7, make one result each",
    ),
    "colours": ("colours", None),
    "holes": ("what is filled", "the white of a mask; without one, white brush strokes in the image"),
    "steadiness": ("steadiness", "faces are tracked from frame to frame, so that they do not flicker"),
    "size": ("size", "upscalers are realesrgan-x2plus, realesrgan-x4plus or the path of a file"),
    "detection": ("finding faces", None),
    "saved faces": ("faces in files", None),
    "selection": (
        "which faces",
        "all, unless something is said here; in a video each face is chosen once in a shot, and stays chosen",
    ),
    "pasting": ("where a face is pasted", None),
    "degradation": ("degradation", None),
    "evaluation": ("evaluation", None),
    "training": ("settings", None),
    "models": ("models", "names as in `codeformer models list`, or paths of files"),
    "speed": ("speed", None),
    "cluster": ("several machines", 'needs pip install "codeformer-suite[cluster]"; docs/cluster.md says how to start one'),
}


class Command(NamedTuple):
    """A command on images or videos.

    Attributes:
        help: what it does.
        module: where its `run` is, which is imported when it is called.
        task: what its restorer was trained for; None for a command without one.
        done: what happens to a face, as the report says it.
        groups: of its options.
        without: options of these groups that it does not have.
        ending: of the names of its results.
    """

    help: str
    module: str
    task: str | None
    done: str
    groups: Collection[str]
    without: Collection[str] = ()
    ending: str = ""


#: Module of a command -> what it reads.
_IMAGES = "images (PNG, JPEG, WebP, TIFF, ...)"
READ = {
    "images": _IMAGES,
    "visualize": _IMAGES,
    "crops": "square images of aligned faces",
    "videos": "videos (MP4, MOV, MKV, WebM, ...), numbered images (frames/%%05d.png)",
    "people": "images, videos",
}

#: What OUT is of a command where it is not as usual.
WRITTEN = {
    "crop": "folder for the faces",
    "people": "the sheet, such as people.png, or a folder for it",
    "video": "folder for the videos; for one input a file, or numbered images (frames/%%05d.png)",
}

_FILES = ("files", "images", "seeing", "saved faces")
_PASTED = ("restoration", "size", "pasting")
_FACES = ("detection", "selection", "models", "speed")
_VIDEO = ("files", "videos", "saved faces", *_PASTED, "steadiness", *_FACES, "cluster")
_OF_RESTORER = ("suffix", "model", "parser", "compile", "engine", "batch")
_NOT_SHOWN = (
    "save_crops", "draw_boxes", "save_faces", "fidelity_mask", "second_model", "mix", "keep_detail", "colour",
    "always", "parser", "compile", "engine", "batch",
)  # fmt: skip

COMMANDS: Mapping[str, Command] = {
    "fix": Command("restore the faces in images", "images", "restoration", "restored", (*_FILES, *_PASTED, *_FACES, "cluster")),
    "colorize": Command(
        "give colours to the faces in images", "images", "colorization", "coloured", (*_FILES, "colours", "pasting", *_FACES)
    ),
    "inpaint": Command(
        "fill the missing parts of faces in images", "images", "inpainting", "filled", (*_FILES, "holes", *_FACES), ("parser",)
    ),
    "video": Command(
        "restore the faces in videos",
        "videos",
        "restoration",
        "restored",
        _VIDEO,
        ("page", "second_model", "mix", "likeness"),
    ),
    "crop": Command(
        "cut aligned faces out of images, to train with",
        "images",
        None,
        "cut out",
        ("files", "crops", *_FACES, "cluster"),
        _OF_RESTORER,
    ),
    "people": Command(
        "show who is in images and videos, with the numbers that --person takes",
        "people",
        None,
        "found",
        ("files", "detection", "models", "speed"),
        ("suffix", "page", "report", *_OF_RESTORER),
    ),
    "sweep": Command(
        "show the faces of images at several fidelities, to choose one",
        "visualize",
        "restoration",
        "shown",
        ("files", "images", "saved faces", "restoration", *_FACES),
        _NOT_SHOWN,
        "sweep",
    ),
    "certainty": Command(
        "show where restored faces would be invented, as a heat map",
        "visualize",
        "restoration",
        "shown",
        ("files", "images", "saved faces", *_FACES),
        _NOT_SHOWN,
        "certainty",
    ),
    "degrade": Command(
        "degrade aligned faces as the paper does, to test a network with", "crops", None, "degraded", ("files", "degradation")
    ),
    "reconstruct": Command(
        "draw aligned faces by the codebook of stage I alone",
        "crops",
        None,
        "drawn",
        ("files", "crops", "models", "speed"),
        ("detector", "parser", "compile", "engine", "batch", "precision"),
    ),
}

#: Action of `codeformer models` -> (what it does, how many names it takes).
ACTIONS = {
    "list": ("every known file, whether it is here, its size, address, hash and licence", None),
    "fetch": ("fetch files, after saying how large they are and under which licence", "+"),
    "verify": ("check that files are the published ones", "*"),
    "where": ("the folders that are looked in", None),
}
