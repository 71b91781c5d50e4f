"""`codeformer people`: who is in images and videos, with the numbers that --person takes."""

import math
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from .. import image_io
from ..align import align
from ..image_io import ImageFile
from ..image_io.encode import FORMATS
from ..imaging.overlay import draw_labels
from ..imaging.resize import resize
from ..pipeline import detect
from ..recognition import SIDE
from ..recognition.groups import group_people, to_json
from ..runtime.addresses import make_folder
from ..runtime.atomic_write import refuse_existing, refuse_unwritable, write_bytes
from ..video_io import probe, read_frames
from .arguments import Arguments
from .contents import IMAGES, VIDEOS, expanded, kind_of, look_into, wrong_command
from .context import RunContext
from .networks import device_of, load_networks

#: Frames of a video that are searched, spread evenly: at most, at least (where it has them), and between them for each second.
FRAMES, FEWEST, PER_SECOND = 600, 20, 2

#: Smaller faces, in pixels of the box, say too little about who they are.
SMALLEST = 32

#: The contact sheet: side of a face in pixels, faces in a row, people.
CELL, COLUMNS, SHOWN = 160, 6, 60

#: Images and videos alike.
MEDIA = IMAGES._replace(name="image or video", kinds=(*IMAGES.kinds, *VIDEOS.kinds), advice=VIDEOS.advice)


class _FoundFace(NamedTuple):
    """A face: the image or frame that it was seen in, its size there, and its crop (1, 3, CELL, CELL) as bytes."""

    image: int
    pixels: float
    crop: Tensor


def run(arguments: Arguments) -> int:
    """The exit status: 0 done, 1 failed, 2 wrong usage."""
    status, out = 2, arguments.out
    sheet = out if out.suffix.lower() in FORMATS and not out.is_dir() else out / "people.png"
    try:
        files = _files(arguments, {sheet.parent.resolve()})
        status = 1
        for path in (sheet, sheet.with_suffix(".json")):
            if not arguments.overwrite:
                refuse_existing(path)
        refuse_unwritable([sheet.parent])
        context = load_networks(arguments, device_of(arguments.device))
        seen, descriptions, count = _find_faces(files, context)
        groups = group_people(descriptions)
        lines = [f"{count} images and frames, {len(seen)} faces: {len(groups)} {'person' if len(groups) == 1 else 'people'}"]
        if groups:
            make_folder(sheet.parent)
            write_bytes(sheet.with_suffix(".json"), to_json(descriptions, groups).encode(), arguments.overwrite)
            image_io.write(ImageFile(_sheet(seen, groups)), sheet, arguments.overwrite)
            lines[0] += f" -> {sheet}, {sheet.with_suffix('.json').name}"
            lines += [f"person {number}: {_image_count(seen, rows)}" for number, rows in enumerate(groups[:SHOWN], 1)]
            lines += [f"and {len(groups) - SHOWN} more, in the file only"] if len(groups) > SHOWN else []
            lines += [f"To choose one: --like {sheet.with_suffix('.json')} --person 1"]
    except (OSError, ValueError, ImportError) as error:
        tqdm.write(f"codeformer people: {error}", file=sys.stderr)
        return status
    if not arguments.quiet:
        tqdm.write("\n    ".join(lines))
    return 0


def _files(arguments: Arguments, without: set[Path]) -> list[Path]:
    """The images and videos among files and folders, each once.

    Raises:
        ValueError: there is none.
    """
    files: dict[Path, Path] = {}
    for path in expanded(arguments.paths):
        if sentence := wrong_command(path, MEDIA):
            raise ValueError(sentence)
        found = look_into(path, arguments.recursive, MEDIA, without).taken if path.is_dir() else [path]
        if not found:
            raise ValueError(f"{path} holds no image and no video.")
        files |= {file.resolve(): file for file in found}
    return list(files.values())


def _find_faces(files: list[Path], context: RunContext) -> tuple[list[_FoundFace], Tensor, int]:
    """Every face, the descriptions (N, 128), and how many images and frames were searched."""
    selection = replace(context.options.selection, min_size=float(SMALLEST))
    options, people = replace(context.options, selection=selection), context.networks.people
    assert people is not None
    seen, rows, count = list[_FoundFace](), list[Tensor](), 0
    with tqdm(files, unit="file", disable=context.arguments.quiet or None, leave=False) as bar:
        for file in bar:
            for image in _images(file, context):
                count += 1
                faces, _ = detect(image, context.detector, options)
                if faces:
                    crops = align(image, faces, SIDE).originals
                    rows.append(people.recogniser.describe(crops))
                    small = (resize(crops, CELL).clamp(0, 1) * 255).byte().cpu()
                    seen += [_FoundFace(count, face.pixels, crop[None]) for face, crop in zip(faces, small, strict=True)]
    return seen, torch.cat(rows) if rows else torch.zeros(0, 128), count


def _images(file: Path, context: RunContext) -> Iterator[Tensor]:
    """The image (1, 3, H, W) of a file, or frames of a video that are spread evenly."""
    if kind_of(file) in IMAGES.kinds:
        yield image_io.read(file, device=context.device).image
        return
    video = probe(file)
    second = min(round(video.rate / PER_SECOND), video.frames // FEWEST or 1)
    every = max(1, math.ceil(video.frames / FRAMES), second)
    with closing(read_frames(file, every=every)) as frames:
        for frame in frames:
            yield frame.image(context.device)


def _image_count(seen: list[_FoundFace], rows: list[int]) -> str:
    """In how many images somebody is."""
    images = len({seen[row].image for row in rows})
    return f"in {images} {'image' if images == 1 else 'images'}"


def _sheet(seen: list[_FoundFace], groups: list[list[int]]) -> Tensor:
    """(1, 3, H, W): the largest face of each person, with number and how often it was seen."""
    from torchvision.utils import make_grid

    cells = []
    for number, rows in enumerate(groups[:SHOWN], 1):
        best = max(rows, key=lambda row: seen[row].pixels)
        cells.append(draw_labels(seen[best].crop / 255, [f"{number}: {_image_count(seen, rows)}"]))
    return make_grid(torch.cat(cells), nrow=COLUMNS, padding=0, pad_value=1)[None]
