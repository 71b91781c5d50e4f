"""Options of the command line that do not go together."""

import os

from ..options import option_fields
from .arguments import Arguments

#: What makes no sense for images that are aligned faces already: groups of options, and single ones.
_NOT_ALIGNED = ("detection", "selection", "saved faces")
_BACKGROUND = ("upscale", "bg_upscaler", "background_colorizer", "background_inpainter")
_NOT_ALIGNED_OPTIONS = ("save_crops", "draw_boxes", "mask", *_BACKGROUND)


def contradiction(arguments: Arguments) -> str | None:
    """Why options do not go together and what to do, in a sentence; None where they do."""
    if sentence := _of_weights(arguments):
        return sentence
    if arguments.command == "evaluate":
        return _of_evaluation(arguments)
    options, selection = arguments.options, arguments.options.selection
    faces_from, save_faces = arguments.faces_from, arguments.save_faces
    if arguments.aligned:
        before = {field.path: field.default for field in option_fields(Arguments())}
        useless = [
            " or ".join(flag for flag, *_ in field.about.switches) or field.flags[0]
            for field in option_fields(arguments)
            if (field.group in _NOT_ALIGNED or field.path[-1] in _NOT_ALIGNED_OPTIONS) and field.default != before[field.path]
        ]
        if useless:
            return f"--aligned leaves nothing to do for {', '.join(useless)}. Leave out one of them."
    if selection.choice != "all":
        if selection.numbers or selection.count or selection.first > 1:
            return "--only-center and --only-largest choose one face: leave out --faces, --first and --count, or use --order."
        if "options.selection.order" in arguments.typed:
            return "--only-center and --only-largest count the faces in their own order: leave out --order."
    if not arguments.like:
        for name, flag in (("person", "--person"), ("options.selection.distance", "--like-distance")):
            if name in arguments.typed:
                return f"{flag} says more about who is looked for: name a photo with --like."
        if selection.others:
            return "--unlike means everyone but one person: show them with --like PHOTO."
    if any(path.suffix.lower() == ".json" for path in arguments.like) != bool(arguments.person):
        return "--person takes numbers of the file that `codeformer people` writes: say --like people.json --person 1."
    if faces_from and (options.detection.rotated or options.detection.tile):
        return "--faces-from does not search: leave out --rotated and --tiles."
    if faces_from and save_faces and faces_from.resolve() == save_faces.resolve():
        return "--save-faces would overwrite the file that --faces-from reads: name another file."
    if arguments.report and save_faces and arguments.report.resolve() == save_faces.resolve():
        return "--report and --save-faces would be written to the same file: name two."
    if "mix" in arguments.typed and not arguments.second_model:
        return "--mix says how much of a second network's face is taken: name the network with --second-model."
    if not options.parts and (options.grow or options.feather):
        return "--grow and --feather shape the parts of a face: say which with --parts."
    if arguments.compile and arguments.engine != "torch":
        return "--compile is for PyTorch: leave out --engine, or --compile."
    if not arguments.cluster and (arguments.workers or arguments.gpus_per_worker is not None):
        return "--workers and --gpus-per-worker are for a cluster: say which with --cluster, such as --cluster local."
    if arguments.cluster and not arguments.resume:
        return "--cluster shares out the parts of a video: leave out --no-resume."
    if arguments.cluster and arguments.hardware:
        return "--cluster joins parts of several machines, whose graphics cards encode differently: leave out --hardware."
    if arguments.cluster and (save_faces or faces_from):
        return "--save-faces and --faces-from are for one image, which needs no cluster: leave out --cluster."
    if arguments.holes and "tolerance" in arguments.typed:
        return "--tolerance is for white brush strokes, which --mask takes the place of: leave out one of them."
    return None


def _of_weights(arguments: Arguments) -> str | None:
    """What is wrong with a folder of model files; one that files are downloaded into need not exist yet."""
    makes = arguments.download or (arguments.command == "models" and arguments.action in ("fetch", "where"))
    for folder in arguments.weights:
        if os.path.isdir(folder) or (makes and not os.path.exists(folder)):
            continue
        if os.path.exists(folder):
            return f"--weights {folder} is a file, expected a folder: name a single model file with --model or --detector."
        make = "make it by `codeformer models fetch`" if arguments.command == "models" else "say --download to download into it"
        return f"--weights {folder} does not exist: correct the name, or {make}."
    return None


def _of_evaluation(arguments: Arguments) -> str | None:
    """Why the options of `codeformer evaluate` do not go together."""
    if not arguments.research.degrade:
        if not arguments.paths:
            return "name folders of restored images, or say --degrade RECIPE --truth DIR to restore and score in one go."
        flags = {"options.fidelity": "-w", "model": "--model", "research.seed": "--seed"}
        flags |= {"precision": "--precision", "engine": "--engine"}
        if useless := [flag for name, flag in flags.items() if name in arguments.typed]:
            return f"{', '.join(useless)} is for --degrade: say which recipe, or leave it out."
    elif arguments.paths or arguments.research.input:
        return "--degrade makes the input and the results itself: leave out --degrade, or the folders of both."
    elif not arguments.research.truth:
        return "--degrade degrades the truth: say --truth DIR."
    if arguments.research.recogniser and not arguments.research.truth:
        return "--recogniser compares faces with those of the truth: say --truth DIR."
    if "out" in arguments.typed and arguments.out.exists() and not arguments.out.is_dir():
        return f"{arguments.out} is a file: name a folder with -o."
    return None
