"""Stand-ins for the nodes of other packs, so that their workflows open and run where those packs are not installed.

The host puts a stand-in in the place of an old node only when nobody has that node. A stand-in has the old node's inputs, since
the old workflow fills no others; in new workflows Fix Faces does the same and more, so these are marked as deprecated, which
hides them from search.
"""

from typing import Any

from comfy_api.latest import ComfyAPI, io
from torch import Tensor

from ..codeformer_core import align, pipeline
from ..codeformer_core.masks import limits
from ..codeformer_core.options import FixOptions, Selection
from ..codeformer_core.restoration import restore
from ..codeformer_core.selection.report import summarize
from ..codeformer_core.selection.select import ORDERS
from . import inputs
from .host import model_files, networks, progress, tensors
from .host.execution import completed

#: The detectors that the old nodes name, and the file that stands for each. YOLOv5 is not run here.
DETECTORS = {
    "retinaface_resnet50": "detection_Resnet50_Final.pth",
    "retinaface_mobile0.25": "detection_mobilenet0.25_Final.pth",
    "YOLOv5l": "detection_Resnet50_Final.pth",
    "YOLOv5n": "detection_mobilenet0.25_Final.pth",
}

#: ReActor's orders and ours.
SORTED = {"area": "size", "x_position": "left", "y_position": "top", "detection_confidence": "confidence"}


def _load_detector(name: str) -> networks.HostedDetector:
    """The detector that an old node names."""
    if name.startswith("YOLO"):
        progress.log_and_show(f"{name} is not run by this pack: {DETECTORS[name]} finds the faces instead.")
    return networks.load_once("detector", DETECTORS[name])


def _share_input(name: str, default: float, tooltip: str, display_name: str | None = None) -> io.Input:
    return io.Float.Input(
        name, display_name=display_name, default=default, min=0.0, max=1.0, step=0.05, optional=True, tooltip=tooltip
    )


def _fidelity_input(name: str) -> io.Input:
    return _share_input(name, 0.5, "0 gives the cleanest face, 1 stays closest to the person in the image.", "fidelity")


def _stand_in(name: str, display_name: str, instead: str, *sockets: io.Input) -> io.Schema:
    """The schema of a stand-in: images in, images out."""
    return io.Schema(
        node_id=name,
        display_name=display_name,
        category=inputs.CATEGORY,
        description=f"Stands for a node of another pack in an old workflow. In a new one use {instead}.",
        search_aliases=["codeformer", "facerestore_cf", "reactor", "migration"],
        is_deprecated=True,
        inputs=[io.Image.Input("image", tooltip="One image or several."), *sockets],
        outputs=[io.Image.Output("result", display_name="image", tooltip="What the old node gave.")],
    )


DETECTOR = io.Combo.Input(
    "facedetection",
    options=list(DETECTORS),
    default=next(iter(DETECTORS)),
    optional=True,
    tooltip="The face detector. The YOLO ones are replaced by RetinaFace.",
)


class CodeFormerOldRestore(io.ComfyNode):
    """facerestore_cf's FaceRestoreCFWithModel."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        model = inputs.Model.Input("facerestore_model", tooltip=inputs.MODEL.tooltip)
        sockets = model, DETECTOR, _fidelity_input("codeformer_fidelity")
        return _stand_in("CodeFormerOldRestore", "Restore Faces (old workflow)", "Fix Faces (CodeFormer)", *sockets)

    @classmethod
    @completed
    def execute(
        cls, image: Tensor, facerestore_model: networks.HostedRestorer, facedetection: str, codeformer_fidelity: float
    ) -> io.NodeOutput:
        images, alpha = tensors.to_core(image)
        tick = progress.progress()
        options = FixOptions(fidelity=codeformer_fidelity)
        detector = _load_detector(facedetection)
        fixed = pipeline.fix_faces(images, detector, facerestore_model, options, progress=lambda unit: tick)
        progress.log_and_show(summarize(len(fixed.aligned), fixed.skipped))
        return io.NodeOutput(tensors.to_host(fixed.images, alpha))


class CodeFormerOldCrop(io.ComfyNode):
    """facerestore_cf's CropFace."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _stand_in("CodeFormerOldCrop", "Crop Faces (old workflow)", "Faces to Crops", DETECTOR)

    @classmethod
    @completed
    def execute(cls, image: Tensor, facedetection: str) -> io.NodeOutput:
        """The crops; one black image where there is no face, as the old node gave."""
        images, _ = tensors.to_core(image)
        faces, skipped = pipeline.detect(images, _load_detector(facedetection))
        progress.log_and_show(summarize(len(faces), skipped))
        crops = align.align(images, faces).crops
        return io.NodeOutput(tensors.to_host(crops if len(crops) else crops.new_zeros(1, *crops.shape[1:])))


class CodeFormerOldReActor(io.ComfyNode):
    """ReActor's ReActorRestoreFace and ReActorRestoreFaceAdvanced."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _stand_in(
            "CodeFormerOldReActor",
            "Restore Faces (old ReActor workflow)",
            "Fix Faces (CodeFormer)",
            DETECTOR,
            io.Combo.Input(
                "model",
                options=["none", *model_files.model_names("restorer"), *model_files.other_names("restorer")],
                tooltip="The file of the network; none changes nothing. CodeFormer, GFPGAN, RestoreFormer and GPEN files run.",
            ),
            _share_input("visibility", 1.0, "How visible the restored face is: 1 shows it fully, 0 shows the image as it was."),
            _fidelity_input("codeformer_weight"),
            io.Combo.Input(
                "face_selection",
                options=["all", "filter", "largest"],
                default="all",
                optional=True,
                tooltip="All faces of every image, those that the settings below choose, or only the largest.",
            ),
            io.Combo.Input(
                "sort_by",
                options=list(SORTED),
                default=next(iter(SORTED)),
                optional=True,
                tooltip="Only for filter: the order of the faces. Area and confidence from the greatest, positions from the "
                "left or the top.",
            ),
            io.Boolean.Input("reverse_order", default=False, optional=True, tooltip="Only for filter: reverses the order."),
            io.Int.Input(
                "take_start", default=0, min=0, max=1000, optional=True, tooltip="Only for filter: how many faces to skip."
            ),
            io.Int.Input(
                "take_count", default=1, min=1, max=1000, optional=True, tooltip="Only for filter: how many faces to take."
            ),
        )

    @classmethod
    def validate_inputs(cls, model: str) -> bool | str:
        """An old node names the files that our loader accepts, or none."""
        return model == "none" or model_files.accept_name("restorer", model)

    @classmethod
    @completed
    def execute(
        cls,
        image: Tensor,
        facedetection: str,
        model: str,
        visibility: float,
        codeformer_weight: float,
        face_selection: str,
        sort_by: str,
        reverse_order: bool,
        take_start: int,
        take_count: int,
    ) -> io.NodeOutput:
        if model == "none":
            return io.NodeOutput(image)
        images, alpha = tensors.to_core(image)
        restorer = networks.load_once("restorer", model)
        selection = Selection(choice="largest" if face_selection == "largest" else "all")
        faces, skipped = pipeline.detect(images, _load_detector(facedetection), FixOptions(selection=selection))
        if face_selection == "filter":
            key, size = ORDERS[SORTED[sort_by]].key, (images.shape[-2], images.shape[-1])
            per_image: dict[int, list[Any]] = {}
            for face in sorted(faces, key=lambda face: key(face, size), reverse=reverse_order):
                per_image.setdefault(face.image_index, []).append(face)
            faces = [face for group in per_image.values() for face in group[take_start : take_start + take_count]]
        aligned = align.align(images, faces)
        restored = restore(aligned, restorer, codeformer_weight, batch=restorer.batch, tick=progress.progress())
        visible, options = limits.with_opacity(restored, visibility), FixOptions(keep_detail="off")
        fixed = pipeline.paste_unharmed(images, images, visible, options)
        progress.log_and_show(summarize(len(fixed.aligned), skipped + fixed.skipped))
        return io.NodeOutput(tensors.to_host(fixed.images, alpha))


_REACTOR = ["facedetection", "model", "visibility", "codeformer_weight"]

_UNFILTERED = {"face_selection": "all", "sort_by": "area", "reverse_order": False, "take_start": 0, "take_count": 1}

#: Old node -> its stand-in, its sockets, its widgets in the order of a workflow file, and the values of inputs that it lacks.
#: The layouts are those of the common releases: facerestore_cf also had one with a switch, whose values a workflow file would
#: mix up with these.
REPLACEMENTS: dict[str, tuple[str, list[str], list[str], dict[str, Any]]] = {
    "FaceRestoreModelLoader": ("CodeFormerModelLoader", [], ["model_name"], {}),
    "FaceRestoreCFWithModel": (
        "CodeFormerOldRestore",
        ["facerestore_model", "image"],
        ["facedetection", "codeformer_fidelity"],
        {},
    ),
    "CropFace": ("CodeFormerOldCrop", ["image"], ["facedetection"], {}),
    "ReActorRestoreFace": ("CodeFormerOldReActor", ["image"], _REACTOR, _UNFILTERED),
    "ReActorRestoreFaceAdvanced": ("CodeFormerOldReActor", ["image"], [*_REACTOR, *_UNFILTERED], {}),
}


async def register() -> None:
    """Tell the host which of our nodes stand for which old ones."""
    api = ComfyAPI()
    for old, (new, sockets, widgets, values) in REPLACEMENTS.items():
        # Every input has the name of the old node's: where two old nodes are connected, the host looks for the old name of an
        # input after it has given it the new one.
        same = [{"new_id": name, "old_id": name} for name in (*sockets, *widgets)]
        replacement = io.NodeReplace(
            new_node_id=new,
            old_node_id=old,
            old_widget_ids=widgets,
            input_mapping=[*same, *({"new_id": name, "set_value": value} for name, value in values.items())],
            output_mapping=[{"new_idx": 0, "old_idx": 0}],
        )
        await api.node_replacement.register(replacement)


NODES = [CodeFormerOldRestore, CodeFormerOldCrop, CodeFormerOldReActor]
