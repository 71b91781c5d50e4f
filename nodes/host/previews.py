"""Small files in the host's temporary folder that the pack's own widgets show in the browser (web/js/)."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folder_paths
import torch
from PIL import Image
from torch import Tensor

from ...codeformer_core.faces import Face
from ...codeformer_core.imaging.resize import resize, thumbnail_size
from ...codeformer_core.selection.candidates import list_candidates

#: Images of a longer batch, such as the frames of a video, are not shown.
MAX_IMAGES = 16

#: The longer side of a preview in pixels: enough to look at a single face of a large photo.
LARGEST = 2048


def small_image(image: Tensor, largest: int) -> Image.Image:
    """The colours of an image (C, H, W) in [0, 1], shrunk to a longer side of at most `largest` pixels."""
    small = resize(image[None, :3].float(), *thumbnail_size(image.shape[-2], image.shape[-1], largest))[0]
    return Image.fromarray((small.movedim(0, -1).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy())


def save_previews(images: Tensor, largest: int = LARGEST) -> list[dict[str, str]]:
    """The files of images (B, C, H, W) in [0, 1], shrunk to `largest` pixels, as the host's page asks for them.

    JPEG: 1920 x 1080 takes 0.05 s of one core, and 0.19 s as the PNG of the host's own previews.
    """
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for image in images:
        name = f"codeformer_{uuid.uuid4().hex}.jpg"
        small_image(image, largest).save(folder / name, quality=95, subsampling=0)
        files.append({"filename": name, "subfolder": "", "type": "temp"})
    return files


def before_and_after(
    before: Tensor, after: Tensor, faces: Sequence[Face] = (), found_in: tuple[int, ...] = (1, 1)
) -> dict[str, list[dict[str, Any]]]:
    """What the before/after slider shows (web/js/compare.js): a pair of files for each image, and places to zoom to.

    Args:
        before: (B, C, H, W) in [0, 1].
        after: (B, C, H', W'): the same images, of any size.
        faces: their faces, and the (H, W) of the images that they were found in.
    """
    shown = min(len(before), len(after), MAX_IMAGES)
    pairs: list[dict[str, Any]] = [
        {"before": one, "after": other, "faces": []}
        for one, other in zip(save_previews(before[:shown]), save_previews(after[:shown]), strict=True)
    ]
    for face in list_candidates(faces, (found_in[0], found_in[1])):
        if face.image_index < shown:
            pairs[face.image_index]["faces"].append(face.place)
    return {"codeformer_compare": pairs}
