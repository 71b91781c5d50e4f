"""Select Faces: which of the faces are worked on."""

from comfy_api.latest import io
from torch import Tensor

from ..codeformer_core.faces import AlignedFaces
from ..codeformer_core.orders import ORDERS
from ..codeformer_core.report import report
from ..codeformer_core.saved import to_json
from ..codeformer_core.selection import Selection, select
from ..codeformer_core.sharpness import BLURRED, sharpness, sharpness_of_crops
from ..codeformer_core.sources import fitted
from . import host, picker, sockets


def _sharpness(faces: AlignedFaces, image: Tensor | None) -> list[float]:
    """Of each face, in the pictures if they are there, else in the crops."""
    if image is None:
        return sharpness_of_crops(faces.originals)
    images, _ = host.to_core(image)
    height, width = images.shape[-2:]
    return sharpness(images, fitted(faces.faces, faces.image_size, len(images), (height, width)))


class CodeFormerFaceSelect(io.ComfyNode):
    """Aligned faces to fewer of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFaceSelect",
            display_name="Select Faces",
            category=sockets.CATEGORY,
            description="Keeps the faces that are to be repaired, in every picture by itself, and says why it leaves the "
            "others alone. After a run it shows the pictures: click a face to switch it on or off.",
            search_aliases=["codeformer", "choose face", "filter faces", "largest face", "face index", "pick face", "人脸选择"],
            inputs=[
                sockets.Faces.Input("faces", tooltip="The faces to choose from. Connect Detect Faces."),
                io.Combo.Input(
                    "order",
                    options=list(ORDERS),
                    default="found",
                    tooltip="What the faces of a picture are counted by. found: as Detect Faces numbers them; size: from the "
                    "largest; left, top: from that side; confidence: from the most certain; center: from the middle.",
                ),
                io.String.Input(
                    "numbers",
                    default="",
                    placeholder="1, 3",
                    tooltip="Only the faces with these numbers, counted from 1 in that order, for example 1, 3. Empty for all. "
                    "A click on a face below changes it.",
                ),
                io.Int.Input("first", default=1, min=1, max=10000, tooltip="Begin with this one of the faces that are left."),
                io.Int.Input("count", default=0, min=0, max=10000, tooltip="How many faces to keep. 0 keeps all."),
                *[_limit(*row) for row in _LIMITS],
                io.Float.Input(
                    "confidence",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Only faces of which the detector is at least this sure. 0 sets no limit.",
                ),
                io.Float.Input(
                    "sharpness",
                    display_name="only if less sharp than",
                    default=0.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Leaves faces alone that are good already: only those below this sharpness are kept. Blurred faces "
                    f"have about 0.4, clear ones about 1; {BLURRED:g} parts them. 0 keeps all.",
                ),
                io.Float.Input(
                    "inside",
                    display_name="share inside the mask",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    advanced=True,
                    tooltip="Only with a mask: how much of a face must lie inside it.",
                ),
                io.Boolean.Input(
                    "duplicates",
                    display_name="keep duplicates",
                    default=False,
                    advanced=True,
                    tooltip="Keeps every box, even when several lie on one face.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Only faces in its white part are kept: one mask, or one for each picture, of any size.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The pictures that the faces were found in, to see them in. The sharpness, too, is measured more "
                    "exactly in them than in the crops.",
                ),
            ],
            outputs=[
                sockets.faces_output(),
                io.String.Output("report", tooltip="What was kept, and what was left alone and why, a line for each face."),
                sockets.count_output(),
                sockets.saved_output(),
            ],
            is_output_node=True,  # so that it can be run by itself, to see the faces before the work
        )

    @classmethod
    def execute(
        cls,
        faces: AlignedFaces,
        order: str,
        numbers: str,
        first: int,
        count: int,
        min_size: float,
        max_size: float,
        min_percent: float,
        max_percent: float,
        confidence: float,
        sharpness: float,
        inside: float,
        duplicates: bool,
        mask: Tensor | None = None,
        image: Tensor | None = None,
    ) -> io.NodeOutput:
        """Keep those that are asked for."""
        wanted = Selection(
            order=order,
            numbers=tuple(int(number) for number in sockets.listed(numbers, whole=True)),
            first=first,
            count=count,
            min_size=min_size,
            max_size=max_size,
            min_percent=min_percent,
            max_percent=max_percent,
            confidence=confidence,
            sharpness=sharpness,
            inside=inside,
            duplicates=duplicates,
        )
        kept, skipped = select(
            faces.faces,
            faces.image_size,
            wanted,
            mask=None if mask is None else host.from_mask(mask),
            sharpness=_sharpness(faces, image) if sharpness else None,
        )
        text = report(kept, skipped)
        host.say(text)
        rows = {face: row for row, face in enumerate(faces.faces)}
        chosen = faces.subset([rows[face] for face in kept])
        shown = picker.shown(faces, skipped, image)
        return io.NodeOutput(chosen, text, len(chosen), to_json(chosen.faces, chosen.image_size), ui=shown)


#: id, what people see, largest value, step, tooltip.
_LIMITS = (
    ("min_size", "smallest size", 16384, 1.0, "Leaves smaller faces alone: the box's longer side in pixels. 0 is no limit."),
    ("max_size", "largest size", 16384, 1.0, "Leaves larger faces alone: the box's longer side in pixels. 0 is no limit."),
    ("min_percent", "smallest size in percent", 100, 0.5, "Leaves faces alone that are smaller than this percentage of the "
     "picture's shorter side. 0 sets no limit."),
    ("max_percent", "largest size in percent", 200, 0.5, "Leaves faces alone that are larger than this percentage of the "
     "picture's shorter side. 0 sets no limit."),
)  # fmt: skip


def _limit(name: str, shown: str, most: float, step: float, tooltip: str) -> io.Input:
    """An advanced number that 0 turns off."""
    return io.Float.Input(name, display_name=shown, default=0.0, min=0.0, max=most, step=step, advanced=True, tooltip=tooltip)


NODES = [CodeFormerFaceSelect]
