"""Load CodeFormer and the other loaders: a file name in, a network under the host's memory manager out."""

import logging
import os
from typing import Any

from comfy_api.latest import io

from ..codeformer_core import checkpoints
from ..codeformer_core.networks.precision import CHOICES
from . import inputs
from .host import language, model_files, networks, progress
from .host.execution import completed

log = logging.getLogger(__name__)


class _Loader(io.ComfyNode):
    """What the loaders have in common: a role, and a combo of the files that may have it."""

    ROLE: str

    @classmethod
    def file_input(cls, tooltip: str) -> io.Input:
        """The combo. What it says about files goes to the notice that web/js/loaders.js shows in the node."""
        names = model_files.model_names(cls.ROLE)
        about = {name: language.in_every_language(text) for name in names if (text := cls.about(name))}
        return io.Combo.Input(
            "model_name",
            display_name="file",
            options=names,
            tooltip=tooltip
            + " A published file that is not on this computer yet is downloaded and checked when the node runs.",
            extra_dict={
                "about": about,
                "missing": model_files.missing(cls.ROLE),
                "other_names": model_files.other_names(cls.ROLE),
            },
        )

    @classmethod
    def validate_inputs(cls, model_name: str) -> bool | str:
        """Old workflows may name a published file as other packs call it; in the browser the loader then gets its own name."""
        return model_files.accept_name(cls.ROLE, model_name)

    @classmethod
    @completed
    def execute(cls, model_name: str, precision: str = "auto") -> io.NodeOutput:
        network = networks.load(cls.ROLE, model_name, precision, log.info)  # the notice says what is fetched
        if text := cls.describe(model_name, network):
            log.info(f"{model_name}: {text}")
            if text != cls.about(model_name):
                progress.show(text)
        return io.NodeOutput(network)

    @classmethod
    def about(cls, model_name: str) -> str:
        """What the node says about a published file before anybody loads it."""
        return ""

    @classmethod
    def describe(cls, model_name: str, network: Any) -> str:
        """What the node says about a loaded network."""
        return ""

    @classmethod
    def fingerprint_inputs(cls, model_name: str, precision: str = "auto") -> str:
        """Another file under the same name, or another precision, is loaded anew."""
        return f"{model_files.fingerprint(cls.ROLE, model_name)} {precision}"


def _drawn(side: int, note: str) -> str:
    return f"Draws faces of {side} px. {note}".strip()


class CodeFormerModelLoader(_Loader):
    ROLE = "restorer"

    @classmethod
    def about(cls, model_name: str) -> str:
        """How large the faces are that it draws, and what the catalogue says about it."""
        known = checkpoints.lookup(os.path.basename(model_name))
        return _drawn(known.side, known.about) if known else ""

    @classmethod
    def describe(cls, model_name: str, network: networks.HostedRestorer) -> str:
        """The same of a loaded network; of one without a fidelity also what that means."""
        known = checkpoints.lookup(os.path.basename(model_name))
        return _drawn(network.side, (known and known.about) or getattr(network.network, "notice", ""))

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerModelLoader",
            display_name="Load CodeFormer",
            category=inputs.CATEGORY,
            description="Loads the network that repairs faces: CodeFormer, whose weights are for non-commercial use only, "
            "GFPGAN, RestoreFormer or GPEN.",
            search_aliases=[*inputs.ALIASES, "load face restore model", "facerestore model loader"],
            inputs=[
                cls.file_input(
                    "The file of the network. codeformer.pth, GFPGAN and RestoreFormer draw faces of 512 px, the latter "
                    "without a fidelity; codeformer_starter.safetensors, which comes with the pack, draws faces of 128 px."
                ),
                io.Combo.Input(
                    "precision",
                    options=list(CHOICES),
                    default="auto",
                    optional=True,
                    advanced=True,
                    tooltip="How precisely the network computes. exact: as published; balanced: the same face, faster; fast: "
                    "the fastest, the face may differ; auto: balanced where it is faster on this computer, else exact.",
                ),
            ],
            outputs=[inputs.Model.Output("model", tooltip="Connect to CodeFormer Restore or Fix Faces.")],
        )


class CodeFormerFaceDetectorLoader(_Loader):
    ROLE = "detector"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFaceDetectorLoader",
            display_name="Load Face Detector",
            category=inputs.CATEGORY,
            description="Loads the network that finds faces and their eyes, nose and mouth.",
            search_aliases=["face detection", "retinaface", "yunet", "mtcnn", "facedetection", "codeformer", "人脸检测"],
            inputs=[
                cls.file_input(
                    "The file of the network. mtcnn comes with the pack; Resnet50 misses fewest faces, mobilenet0.25 is small "
                    "and fast, yunet is the smallest and runs on the CPU; dlib is slow and needs packages of its own."
                )
            ],
            outputs=[inputs.Detector.Output("detector", tooltip="Connect to Detect Faces or Fix Faces.")],
        )


class CodeFormerFaceParserLoader(_Loader):
    ROLE = "parser"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFaceParserLoader",
            display_name="Load Face Parser",
            category=inputs.CATEGORY,
            description="Loads the network that tells the parts of a face apart, for Face Mask and the blend 'face'. ParseNet "
            "is for non-commercial use only; BiSeNet has a more permissive licence.",
            search_aliases=["face parsing", "parsenet", "face segmentation", "face mask", "codeformer", "人脸解析", "人脸分割"],
            inputs=[cls.file_input("The file of the network.")],
            outputs=[inputs.Parser.Output("parser", tooltip="Connect to Face Mask, Paste Faces Back or Fix Faces.")],
        )


class CodeFormerBackgroundLoader(_Loader):
    ROLE = "background"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerBackgroundLoader",
            display_name="Load Background Model",
            category=inputs.CATEGORY,
            description="Loads a network for the whole photo around the faces: LaMa and MAT fill holes, DDColor gives colours.",
            search_aliases=[
                "lama",
                "mat",
                "ddcolor",
                "inpaint model",
                "colorize photo",
                "old photo",
                "codeformer",
                "老照片",
                "上色",
            ],
            inputs=[
                cls.file_input(
                    "The file of the network. big-lama and MAT fill holes: connect CodeFormer Inpaint. ddcolor gives colours: "
                    "connect CodeFormer Colorize. MAT and ddcolor need the Python package spandrel_extra_arches."
                )
            ],
            outputs=[
                inputs.Background.Output(
                    "background_model",
                    display_name="background model",
                    tooltip="Connect to CodeFormer Inpaint or CodeFormer Colorize.",
                )
            ],
        )
