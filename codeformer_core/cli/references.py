"""Who --like and --person ask for."""

from dataclasses import replace

import torch
from torch import Tensor

from .. import image_io
from ..faces import Detector
from ..options import Selection
from ..pipeline import detect
from ..recognition import Recogniser, describe_photo
from ..recognition.groups import from_json
from ..runtime.addresses import read_bytes
from .arguments import Arguments
from .contents import kind_of


def references(arguments: Arguments, detector: Detector, recogniser: Recogniser, device: torch.device) -> Tensor | None:
    """Descriptions (R, 128) of who --like and --person ask for; None for nobody.

    Raises:
        OSError, ValueError: a photo without a face or with several; a number that is not in the file of people.
    """
    rows: list[Tensor] = []
    wanted = set(arguments.person)
    for path in arguments.like:
        if path.suffix.lower() != ".json":
            if kind_of(path) == "video":
                raise ValueError(f"{path} is a video. Expected a photo of the person: save one frame of it as an image.")
            image = image_io.read(path, device=device).image
            faces, _ = detect(image, detector, replace(arguments.options, selection=Selection()))
            rows.append(describe_photo(image, faces, recogniser, str(path)))
            continue
        try:
            known = from_json(read_bytes(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        numbers = arguments.person or tuple(known)
        rows += [known[number] for number in numbers if number in known]
        wanted -= known.keys()
    if wanted:
        raise ValueError(
            f"--person asks for {', '.join(map(str, sorted(wanted)))}, which no file of people named by --like has. Look the "
            "numbers up in the sheet that `codeformer people` has written."
        )
    return torch.cat(rows) if rows else None
