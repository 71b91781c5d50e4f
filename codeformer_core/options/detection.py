"""Options of face detection."""

from dataclasses import dataclass

from .option import check_options, option


@dataclass(frozen=True)
class DetectionOptions:
    """Options of face detection; the defaults are the reference's (`face_restoration_helper.py`, `retinaface.py`).

    `overlap` is the intersection over union of non-maximum suppression; all lengths are pixels of the image.
    """

    side: int = option(
        640,
        "The short side, in pixels, at which an image is searched; the result keeps its own size. Larger finds smaller faces "
        "and takes longer. Faces that fill the image need a small value.",
        span=(64, 4096, 32),
        label="search size",
        flag="--detection-side",
        limits=(16, 0),
        metavar="PX",
    )
    confidence: float = option(
        0.8,
        "How sure the detector must be. Lower it when faces are missed, raise it when other things are found.",
        span=(0.05, 1.0, 0.01),
        limits=(0, 1),
    )
    overlap: float = option(
        0.4,
        "Detections that cover each other by more than this share are one face. Lower it when a face is found twice.",
        span=(0.0, 1.0, 0.01),
    )
    eye_distance: float = option(
        5.0,
        "Faces whose eyes are closer than this many pixels of the image are left alone: they are too small, or seen from "
        "the side.",
        span=(0.0, 1000.0, 0.5),
        label="smallest eye distance",
        limits=(0, 1e6),
        metavar="PX",
        group="selection",
    )
    rotated: bool = option(
        False,
        "Also finds faces that lie on their side or stand on their head. Takes four times as long.",
        label="turned faces",
        node=False,
    )
    tile: int = option(
        0,
        "Also searches the image in tiles of this many pixels, each enlarged to the search size: finds tiny faces in large "
        "images. 640 suits group photos; 0 turns it off.",
        span=(0, 4096, 64),
        label="search in tiles of",
        flag="--tiles",
        node=False,
        limits=(64, 0),
        metavar="PX",
        alone=640,
    )

    def __post_init__(self) -> None:
        check_options(self)
