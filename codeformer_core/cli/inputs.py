"""What is read beside the images of a run: masks, and faces that were saved."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from .. import image_io
from ..detection.external import scale_faces
from ..detection.faces_json import from_json
from ..faces import Face
from ..image_io.encode import FORMATS
from ..options import DetectionOptions
from .plan import ImageTask


class SavedFaces(NamedTuple):
    """A detector that gives the faces of a file, found before in an image of (H, W)."""

    faces: list[Face]
    found_in: tuple[int, int]

    @classmethod
    def read(cls, path: Path) -> "SavedFaces":
        """Those of a JSON file; a ValueError when it is none of saved faces."""
        return cls(*from_json(path.read_text(encoding="utf-8")))

    def detect(self, images: Tensor, options: DetectionOptions) -> list[Face]:
        """The faces, in images (B, 3, H, W) of the same proportions."""
        return scale_faces(self.faces, self.found_in, images.shape[0], (images.shape[2], images.shape[3]))


def read_mask(path: Path | None, task: ImageTask, image: Tensor) -> Tensor | None:
    """The mask for an image: (1, 1, h, w) in [0, 1] on its device, white (and opaque) is 1; None without a path.

    Args:
        path: one mask, for every image; or a folder with one for each, named and placed like the images.
        image: (1, 3, H, W).

    Raises:
        ValueError: there is none, or it has other proportions than the image.
    """
    if path is None:
        return None
    file = _mask_file(path / task.below, task.source) if path.is_dir() else path
    found = image_io.read(file)
    mask = found.image.mean(1, keepdim=True)
    if found.alpha is not None:
        mask = mask * found.alpha
    (mask_height, mask_width), (height, width) = mask.shape[-2:], image.shape[-2:]
    if abs(mask_width * height - mask_height * width) > max(height, width):  # a side may be rounded by a pixel
        raise ValueError(
            f"the mask {file} is {mask_width} x {mask_height}, the picture {width} x {height}. "
            "Expected the same proportions: make a mask of the picture's size."
        )
    return mask.to(image.device)


def _mask_file(folder: Path, source: Path) -> Path:
    names = dict.fromkeys([source.name, *(source.stem + end for end in FORMATS)])
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ValueError(f"there is no mask for it in {folder}. Expected a picture of the same name, such as {source.stem}.png.")
