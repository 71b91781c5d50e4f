"""Stand-ins for the nodes of other packs, so that their workflows open and run where those packs are not installed.

The host puts a stand-in in the place of an old node only when nobody has that node. A stand-in has the old node's inputs, since
the old workflow fills no others; in new workflows Fix Faces does the same and more, so these are hidden from search.
"""

from typing import Any

from comfy_api.latest import ComfyAPI, io
from torch import Tensor

from ..codeformer_core import align, checkpoints, paste, pipeline
from ..codeformer_core.masks import limits
from ..codeformer_core.options import FixOptions, Selection
from ..codeformer_core.restoration import restore
from ..codeformer_core.selection.report import summarize
from ..codeformer_core.selection.select import ORDERS
from . import inputs
from .host import model_files, networks, progress, tensors

#: The detectors that the old nodes name, and the file that stands for each. YOLOv5 is not run here.
DETECTORS = {
    "retinaface_resnet50": "detection_Resnet50_Final.pth",
    "retinaface_mobile0.25": "detection_mobilenet0.25_Final.pth",
    "YOLOv5l": "detection_Resnet50_Final.pth",
    "YOLOv5n": "detection_mobilenet0.25_Final.pth",
}

#: ReActor's orders and ours.
SORTED = {"area": "size", "x_position": "left", "y_position": "top", "detection_confidence": "confidence"}


def _detector(name: str) -> networks.HostedDetector:
    """The detector that an old node names."""
    if name.startswith("YOLO"):
        progress.log_and_show(f"{name} is not run by this pack: {DETECTORS[name]} finds the faces instead.")
    return networks.load_once("detector", DETECTORS[name])


def _restorers() -> list[str]:
    """The files that an old node may name: those that our loader offers, and the published ones under their other names."""
    published = [model for model in checkpoints.catalogue() if model.role == "restorer"]
    return list(
        dict.fromkeys([*model_files.model_names("restorer"), *(alias for model in published for alias in model.aliases)])
    )


def _detector_input() -> io.Input:
    return io.Combo.Input(
        "facedetection",
        options=list(DETECTORS),
        tooltip="The face detector. The YOLO ones are replaced by RetinaFace.",
    )


def _fidelity_input(name: str) -> io.Input:
    return io.Float.Input(
        name,
        display_name="fidelity",
        default=0.5,
        min=0.0,
        max=1.0,
        step=0.05,
        tooltip="0 gives the cleanest face, 1 stays closest to the person in the picture.",
    )


def _old_node(name: str, display_name: str, instead: str, sockets: list[io.Input]) -> io.Schema:
    """The schema of a stand-in: pictures in, pictures out."""
    return io.Schema(
        node_id=name,
        display_name=display_name,
        category=inputs.CATEGORY,
        description=f"Stands for a node of another pack in an old workflow. In a new one use {instead}.",
        search_aliases=["codeformer", "facerestore_cf", "reactor", "migration"],
        is_dev_only=True,
        inputs=[io.Image.Input("image", tooltip="One picture or several."), *sockets],
        outputs=[io.Image.Output("result", display_name="image", tooltip="What the old node gave.")],
    )


class CodeFormerOldRestore(io.ComfyNode):
    """facerestore_cf's FaceRestoreCFWithModel."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The old node's sockets."""
        sockets = [
            inputs.model_input(name="facerestore_model"),
            _detector_input(),
            _fidelity_input("codeformer_fidelity"),
        ]
        return _old_node("CodeFormerOldRestore", "Restore Faces (old workflow)", "Fix Faces (CodeFormer)", sockets)

    @classmethod
    def execute(
        cls,
        image: Tensor,
        facerestore_model: networks.HostedRestorer,
        facedetection: str,
        codeformer_fidelity: float,
    ) -> io.NodeOutput:
        """Find, restore, paste."""
        images, alpha = tensors.to_core(image)
        tick = progress.progress()
        fixed = pipeline.fix_faces(
            images,
            _detector(facedetection),
            facerestore_model,
            FixOptions(fidelity=codeformer_fidelity),
            progress=lambda unit: tick,
        )
        progress.log_and_show(summarize(len(fixed.aligned), fixed.skipped))
        return io.NodeOutput(tensors.to_host(fixed.images, alpha))


class CodeFormerOldCrop(io.ComfyNode):
    """facerestore_cf's CropFace."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The old node's sockets."""
        return _old_node("CodeFormerOldCrop", "Crop Faces (old workflow)", "Faces to Crops", [_detector_input()])

    @classmethod
    def execute(cls, image: Tensor, facedetection: str) -> io.NodeOutput:
        """Find, cut out; one black picture where there is no face, as the old node gave."""
        images, _ = tensors.to_core(image)
        faces, skipped = pipeline.detect(images, _detector(facedetection))
        progress.log_and_show(summarize(len(faces), skipped))
        crops = align.align(images, faces).crops
        return io.NodeOutput(tensors.to_host(crops if len(crops) else crops.new_zeros(1, *crops.shape[1:])))


class CodeFormerOldReActor(io.ComfyNode):
    """ReActor's ReActorRestoreFace and ReActorRestoreFaceAdvanced."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The old nodes' sockets."""
        sockets = [
            _detector_input(),
            io.Combo.Input(
                "model",
                options=["none", *_restorers()],
                tooltip="The file of the network; none changes nothing. Only CodeFormer files are run.",
            ),
            io.Float.Input(
                "visibility",
                default=1.0,
                min=0.0,
                max=1.0,
                step=0.05,
                tooltip="How visible the restored face is: 1 shows it fully, 0 shows the picture as it was.",
            ),
            _fidelity_input("codeformer_weight"),
            io.Combo.Input(
                "face_selection",
                options=["all", "filter", "largest"],
                tooltip="All faces of every picture, those that the settings below choose, or only the largest.",
            ),
            io.Combo.Input(
                "sort_by",
                options=list(SORTED),
                tooltip="Only for filter: the order of the faces. Area and confidence from the greatest, positions from the "
                "left or the top.",
            ),
            io.Boolean.Input("reverse_order", default=False, tooltip="Only for filter: turns the order round."),
            io.Int.Input("take_start", default=0, min=0, max=1000, tooltip="Only for filter: how many faces to pass over."),
            io.Int.Input("take_count", default=1, min=1, max=1000, tooltip="Only for filter: how many faces to take."),
        ]
        return _old_node("CodeFormerOldReActor", "Restore Faces (old ReActor workflow)", "Fix Faces (CodeFormer)", sockets)

    @classmethod
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
        """Find, choose, restore, paste."""
        if model == "none":
            return io.NodeOutput(image)
        images, alpha = tensors.to_core(image)
        restorer = networks.load_once("restorer", model)
        selection = Selection(choice="largest" if face_selection == "largest" else "all")
        faces, skipped = pipeline.detect(images, _detector(facedetection), FixOptions(selection=selection))
        if face_selection == "filter":
            key, size = ORDERS[SORTED[sort_by]].key, (images.shape[-2], images.shape[-1])
            per_picture: dict[int, list[Any]] = {}
            for face in sorted(faces, key=lambda face: key(face, size), reverse=reverse_order):
                per_picture.setdefault(face.image_index, []).append(face)
            faces = [face for group in per_picture.values() for face in group[take_start : take_start + take_count]]
        progress.log_and_show(summarize(len(faces), skipped))
        aligned = align.align(images, faces)
        restored = restore(aligned, restorer, codeformer_weight, batch=restorer.batch, tick=progress.progress())
        pasted, _ = paste.paste(images, limits.with_opacity(restored, visibility))
        return io.NodeOutput(tensors.to_host(pasted, alpha))


def _same(*names: str) -> list[dict[str, Any]]:
    """Inputs that the old node and its stand-in call alike.

    All are: where two old nodes are connected, the host looks for the old name of an input after it has given it the new one.
    """
    return [{"new_id": name, "old_id": name} for name in names]


_REACTOR = ("facedetection", "model", "visibility", "codeformer_weight")

_FILTER = ("face_selection", "sort_by", "reverse_order", "take_start", "take_count")

_UNFILTERED = {"face_selection": "all", "sort_by": "area", "reverse_order": False, "take_start": 0, "take_count": 1}

#: Old node, what stands for it, its widgets in the order of a workflow file, and where its inputs go. The layouts are those of
#: the common releases: facerestore_cf also had one with a switch, whose values a workflow file would mix up with these.
REPLACEMENTS: tuple[tuple[str, str, list[str], list[dict[str, Any]]], ...] = (
    ("FaceRestoreModelLoader", "CodeFormerModelLoader", ["model_name"], _same("model_name")),
    (
        "FaceRestoreCFWithModel",
        "CodeFormerOldRestore",
        ["facedetection", "codeformer_fidelity"],
        _same("facerestore_model", "image", "facedetection", "codeformer_fidelity"),
    ),
    ("CropFace", "CodeFormerOldCrop", ["facedetection"], _same("image", "facedetection")),
    (
        "ReActorRestoreFace",
        "CodeFormerOldReActor",
        list(_REACTOR),
        [*_same("image", *_REACTOR), *({"new_id": name, "set_value": value} for name, value in _UNFILTERED.items())],
    ),
    ("ReActorRestoreFaceAdvanced", "CodeFormerOldReActor", [*_REACTOR, *_FILTER], _same("image", *_REACTOR, *_FILTER)),
)


async def register() -> None:
    """Tell the host which of our nodes stand for which old ones."""
    api = ComfyAPI()
    for old, new, widgets, mapping in REPLACEMENTS:
        replacement = io.NodeReplace(
            new_node_id=new,
            old_node_id=old,
            old_widget_ids=widgets,
            input_mapping=mapping,
            output_mapping=[{"new_idx": 0, "old_idx": 0}],
        )
        await api.node_replacement.register(replacement)


NODES = [CodeFormerOldRestore, CodeFormerOldCrop, CodeFormerOldReActor]
