"""`codeformer sweep` and `certainty`: images that show how faces would be restored, and where they would be invented."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from .. import image_io
from ..align import align, wrap_aligned_images
from ..certainty import paste_maps, uncertainty_maps
from ..faces import AlignedFaces, Face, Skipped
from ..fidelity import sweep
from ..image_io import ImageFile
from ..imaging.overlay import draw_heatmap, draw_labels
from ..imaging.resize import resize
from ..pipeline import detect_all, select_faces
from ..recognition.likeness import measure_likeness
from ..runtime.addresses import make_folder
from ..runtime.atomic_write import refuse_existing
from .arguments import Arguments
from .contents import images_for
from .context import RunContext
from .images import face_records, left_alone, said_of_faces
from .masks import read_mask
from .plan import ImageTask
from .report import FaceRecord, ImageResult
from .run import process_all

#: What is tried when no fidelity is named.
FIDELITIES = (0.0, 0.25, 0.5, 0.75, 1.0)

#: Rows of a contact sheet; of a crowd the others are asked for with --faces.
ROWS = 20

#: (image (1, 3, H, W), aligned faces, their records, context) -> what is written (1, 3, H', W'), and sentences for the user.
Show = Callable[[Tensor, AlignedFaces, list[FaceRecord], RunContext], tuple[Tensor, list[str]]]


def run(arguments: Arguments) -> int:
    """The exit status, see `process_all`."""
    show = {"sweep": _sweep, "certainty": _certainty}[arguments.command]
    if arguments.command == "sweep":  # several fidelities are for one sheet
        chosen = [arguments.options.fidelity] if "options.fidelity" in arguments.typed else list(FIDELITIES)
        values = [w for one in arguments.fidelities or chosen for w in (one if isinstance(one, tuple) else (one,))]
        options = replace(arguments.options, fidelity=tuple(values))
        arguments = replace(arguments, options=options, fidelities=())
    return process_all(arguments, images_for(arguments.page), lambda task, context: _show(show, task, context))


def _show(show: Show, task: ImageTask, context: RunContext) -> ImageResult:
    """Read an image, find its faces, write what `show` makes of them."""
    source, target = image_io.read(task.source, context.arguments.page or None, context.device), task.target
    if not context.arguments.overwrite:
        refuse_existing(target)
    make_folder(target.parent)
    image = source.image
    aligned, skipped, found = _faces(image, task, context)
    records = face_records(aligned, skipped, found, context)
    size = image.shape[3], image.shape[2]
    if not len(aligned):
        said = [f"{task.source}: {said_of_faces(len(records), 0, context)}: nothing to show", *left_alone(records)]
        return ImageResult(target.parent, said, len(records), 0, size, records)
    shown, lines = show(image, aligned, records[: len(aligned)], context)
    lines += image_io.write(ImageFile(shown, icc=None if source.grey else source.icc), target, context.arguments.overwrite)
    head = f"{task.source}: {said_of_faces(len(records), len(aligned), context)} -> {target}"
    return ImageResult(target, [head, *lines, *left_alone(records[len(aligned) :])], len(records), len(aligned), size, records)


def _faces(image: Tensor, task: ImageTask, context: RunContext) -> tuple[AlignedFaces, list[Skipped], list[Face]]:
    """The faces to show, those that are left alone, and all that were found."""
    arguments, options, side = context.arguments, context.options, context.restorer.side
    if arguments.aligned:
        return wrap_aligned_images(image, side), [], []
    found = detect_all(image, context.detector, options, context.networks.people)
    faces, skipped = select_faces(image, found, options, read_mask(arguments.inside, task, image))
    return align(image, faces, side, options.sampling), skipped, found


def _sweep(image: Tensor, aligned: AlignedFaces, records: list[FaceRecord], context: RunContext) -> tuple[Tensor, list[str]]:
    """A contact sheet: a row for each face, with the face as it was and at each fidelity."""
    options, tick = context.options, context.progress("face")
    values = options.fidelity if isinstance(options.fidelity, tuple) else (options.fidelity,)
    rows = []
    for number in range(1, min(len(aligned), ROWS) + 1):
        crops = sweep(aligned, context.restorer, number, values, match_style=options.match_style, grey=options.grey)
        before = resize(aligned.originals[number - 1 : number], crops.shape[-1])
        cells = [f"w = {value:g}" for value in values]
        if options.likeness != "off" and context.networks.people:
            distances = measure_likeness(crops, before, context.networks.people)
            cells = [f"{cell}: {distance:.2f}" for cell, distance in zip(cells, distances, strict=True)]
        labels = [f"face {records[number - 1].number}", *cells]
        rows.append(torch.cat(list(draw_labels(torch.cat([before, crops]), labels)), -1))  # (3, S, (1 + W) S)
        tick(number, min(len(aligned), ROWS))
    more = len(aligned) - ROWS
    return torch.cat(rows, -2)[None], [f"and {more} more faces: choose with --faces"] if more > 0 else []


def _certainty(
    image: Tensor, aligned: AlignedFaces, records: list[FaceRecord], context: RunContext
) -> tuple[Tensor, list[str]]:
    """The image with its faces green where the network is certain, and red where it guesses."""
    maps = uncertainty_maps(aligned, context.restorer, tick=context.progress("face"))
    guessed, covered = paste_maps(maps, aligned, (1, image.shape[2], image.shape[3]))
    shares = sorted(zip((record.number for record in records), maps.flatten(1).mean(1).tolist(), strict=True))
    return draw_heatmap(image, guessed, covered), [f"face {number}: {share:.0%} guessed" for number, share in shares[:ROWS]]
