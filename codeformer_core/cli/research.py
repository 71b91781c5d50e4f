"""The options of `codeformer degrade`, `evaluate` and `train`, which are about models and not about somebody's images."""

from dataclasses import dataclass
from pathlib import Path

from ..options.option import option
from .values import named


@dataclass(frozen=True)
class ResearchOptions:
    """What is measured and trained."""

    recipe: str = option(
        "celeba-test",
        "How faces are degraded: celeba-test (the paper's ranges), severe, mild, faded (for colorization), brush (for "
        "inpainting), or the path of a TOML file.",
        group="degradation",
        metavar="RECIPE",
    )
    seed: int = option(0, "Another number degrades each face otherwise.", limits=(0, 0), group="degradation")
    truth: Path | None = option(
        None, "The clear images, of the same names. Most metrics need them.", read=named, group="evaluation", metavar="DIR"
    )
    input: Path | None = option(
        None, "The degraded images, of the same names, to be scored too.", read=named, group="evaluation", metavar="DIR"
    )
    reference: Path | None = option(
        None,
        "FID compares with these images, of any names, such as FFHQ (default: the truth).",
        read=named,
        group="evaluation",
        metavar="DIR",
    )
    recogniser: str | None = option(
        None,
        "Identity (IDS) by this ONNX file, such as ArcFace's w600k_r50.onnx (default: dlib's, the extra people).",
        group="evaluation",
        metavar="FILE",
    )
    degrade: str | None = option(
        None,
        "Degrades the truth by this recipe, restores it with --model at each fidelity -w, and scores that.",
        group="evaluation",
        metavar="RECIPE",
    )
    scored_side: int = option(
        0,
        "Scores square images at this width and height, also those of --degrade. 0: as they are.",
        flag="--side",
        span=(0, 4096, 1),
        group="evaluation",
        metavar="PX",
    )
    settings: tuple[str, ...] = option(
        (),
        "Changes a setting of the configuration, such as steps=500; may be repeated.",
        read=str,
        flag="--set",
        group="training",
        metavar="NAME=VALUE",
    )
    show: bool = option(False, "Shows the whole configuration with explanations, and trains nothing.", group="training")
