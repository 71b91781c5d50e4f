"""What one training run is told: a small TOML file, read into frozen values."""

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch

from ..networks.codeformer import CodeFormer
from ..networks.vqgan import Architecture

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Configurations that come with the package, by their name without ".toml".
PRESETS = Path(__file__).resolve().parent / "presets"

TASKS = ("restoration", "colorization", "inpainting")

PRECISIONS = ("fp32", "bf16")

Section = TypeVar("Section")


@dataclass(frozen=True)
class Faces:
    """Which faces are learnt from, and how they are varied. Ranges are parts of the face's side, or of 1 for colours.

    Attributes:
        folder: aligned faces, square, of any size; `codeformer crop` makes them from photos.
        hold_out: every so manyth face by name is kept for evaluation; 0 keeps none.
        shift: how far the cut is moved at most.
        zoom: how much is cut off at most.
        colour: how much brightness, contrast and saturation change at most.
    """

    folder: Path
    hold_out: int = 0
    shift: float = 0.0
    zoom: float = 0.0
    colour: float = 0.0


@dataclass(frozen=True)
class Degradation:
    """How a clear face becomes a degraded one; lengths in pixels of a 512-pixel face, noise in levels of 255.

    The ranges are those of the paper (section 4.1); the stage III file of the reference has smaller ones (options/*.yml).

    Attributes:
        task: "inpainting" hides brush strokes instead of everything below.
        blur: standard deviation of the kernel, Gaussian, round or stretched.
        shrink: how many times smaller the face becomes.
        noise: standard deviation of the noise.
        jpeg: quality.
        grey: probability that the face loses its colours.
        tint: probability that each channel is shifted.
        jitter: probability that brightness, contrast and saturation change.
    """

    task: str = "restoration"
    blur: tuple[float, float] = (1.0, 15.0)
    shrink: tuple[float, float] = (1.0, 30.0)
    noise: tuple[float, float] = (0.0, 20.0)
    jpeg: tuple[float, float] = (30.0, 90.0)
    grey: float = 0.0
    tint: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True)
class Weights:
    """What each loss counts; 0 leaves it out. Defaults: the paper, section 3, and options/*.yml of the reference.

    Attributes:
        pixel: L1 between pictures.
        structure: L1 between their gradients at three scales; needs no other network.
        perceptual: distance in a VGG16's features; needs `perceptual_file`.
        adversarial: factor of the adaptive weight (0.8 in the paper; 0.1 in the reference's stage III).
        adversarial_from: step from which the discriminator takes part.
        code: stage I, codebook loss; II and III, factor of all code losses.
        commitment: stage I, how much the encoder is held to its codes (beta).
        token: stage II and III, cross entropy of the predicted codes (lambda_token).
        feature: stage II and III, L2 of the encoder's features to the quantised ones of the clear face.
        perceptual_file: torchvision's VGG16 weights.
    """

    pixel: float = 1.0
    structure: float = 0.0
    perceptual: float = 0.0
    adversarial: float = 0.8
    adversarial_from: int = 0
    code: float = 1.0
    commitment: float = 0.25
    token: float = 0.5
    feature: float = 1.0
    perceptual_file: Path | None = None


@dataclass(frozen=True)
class Optimiser:
    """How the weights move. Defaults: the paper, section 4.1, for stages I and II.

    Attributes:
        steps: of the whole run.
        batch: faces per step and process.
        rate: learning rate after the warm-up.
        last_rate: learning rate at the end, reached along a cosine.
        warm_up: steps.
        decay: of the weights (AdamW).
        clip: largest norm of all gradients together.
        average: decay of the averaged weights, which are the ones that are saved as `params_ema`.
        precision: a row of `PRECISIONS`.
    """

    steps: int
    batch: int = 16
    rate: float = 8e-5
    last_rate: float = 8e-5
    warm_up: int = 0
    decay: float = 0.0
    clip: float = 10.0
    average: float = 0.995
    precision: str = "bf16"


@dataclass(frozen=True)
class Codebook:
    """How the codebook of stage I gets going; the paper, with 1.5 million steps, needs none of it.

    Attributes:
        continuous: steps before the first quantisation; then the codebook is filled with clusters of features.
        revive: entries that no face of so many steps used become features of the current one; 0 leaves them.
    """

    continuous: int = 0
    revive: int = 0


@dataclass(frozen=True)
class Every:
    """How many steps lie between two of: lines in the log, checkpoints, contact sheets."""

    log: int = 20
    checkpoint: int = 200
    sheet: int = 1000


@dataclass(frozen=True)
class Config:
    """One run.

    Attributes:
        stage: 1, 2 or 3.
        out: folder of the run: `state.pt` to go on from, `network.pth`, `log.jsonl`, sheets.
        start: `network.pth` of the stage before; None in stage I.
        codes_from: `network.pth` of stage I, whose encoder says the codes of a clear face; in stage III only.
        seed: of everything that is drawn.
        threads: of the processor; None leaves PyTorch's choice.
    """

    stage: int
    out: Path
    faces: Faces
    network: Architecture
    optimiser: Optimiser
    start: Path | None = None
    codes_from: Path | None = None
    seed: int = 0
    threads: int | None = None
    degradation: Degradation = field(default_factory=Degradation)
    losses: Weights = field(default_factory=Weights)
    codebook: Codebook = field(default_factory=Codebook)
    every: Every = field(default_factory=Every)

    def __post_init__(self) -> None:
        if self.stage not in (1, 2, 3):
            raise ValueError(f"Found stage = {self.stage}; expected 1, 2 or 3.")
        if (self.start is None) != (self.stage == 1):
            raise ValueError("Stages 2 and 3 start from the network.pth of the stage before, stage 1 from none: check `start`.")
        if (self.codes_from is None) == (self.stage == 3):
            raise ValueError("Stage 3, and no other, takes the true codes from the network.pth of stage 1: check `codes_from`.")
        if self.degradation.task not in TASKS:
            raise ValueError(f"Found task = {self.degradation.task!r}; expected one of {', '.join(TASKS)}.")
        if self.stage == 3 and (found := _task(self.network)) != self.degradation.task:
            raise ValueError(
                f"A network of this layout passes for one for {found}, and it is to learn {self.degradation.task}. Restoration "
                "fuses at half the crop's side, the others do not; inpainting has a codebook of 512, colorization another."
            )
        if self.optimiser.precision not in PRECISIONS:
            raise ValueError(f"Found precision = {self.optimiser.precision!r}; expected one of {', '.join(PRECISIONS)}.")
        if self.losses.perceptual and self.losses.perceptual_file is None:
            raise ValueError("Found a perceptual loss without perceptual_file: name VGG16 weights, or use structure instead.")


def _task(network: Architecture) -> str:
    with torch.device("meta"):
        return CodeFormer(network).task


def read(path: Path | str) -> Config:
    """A TOML file, or the name of a preset, as a configuration; paths in it are relative to the current folder.

    Raises:
        ValueError: no such file, no TOML, or names and values that a run does not know.
    """
    file = PRESETS / f"{path}.toml" if (PRESETS / f"{path}.toml").is_file() else Path(path)
    if not file.is_file():
        names = ", ".join(sorted(preset.stem for preset in PRESETS.glob("*.toml")))
        raise ValueError(f"{path} does not exist. Name a TOML file, or one of {names}.")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}.") from error
    return _section(Config, content, str(path))


def _section(kind: type[Section], content: Mapping[str, Any], where: str) -> Section:
    """One table of the file as the value that it describes."""
    hints = get_type_hints(kind)
    fields = {each.name: each for each in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    if unknown := [name for name in content if name not in fields]:
        raise ValueError(f"{where} says {', '.join(unknown)}; expected {', '.join(fields)}.")
    needed = [n for n, f in fields.items() if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in content]:
        raise ValueError(f"{where} does not say {', '.join(missing)}.")
    return kind(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in content.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {value!r}; expected a table, [{where.rpartition(' ')[2]}].")
        return _section(kind, value, where)  # pyright: ignore[reportArgumentType]
    if kind in (Path, Path | None):
        return Path(_is(str, value, where)).expanduser()
    if kind == tuple[float, float]:
        if not (isinstance(value, list) and len(value) == 2 and all(type(v) in (int, float) for v in value)):
            raise ValueError(f"{where} is {value!r}; expected a range of two numbers, such as [1, 15].")
        return (float(value[0]), float(value[1]))
    if kind == tuple[int, ...]:
        return tuple(_is(int, each, where) for each in _is(list, value, where))
    if kind is float:
        return float(value) if type(value) is int else _is(float, value, where)
    return _is(int if kind == int | None else kind, value, where)


def _is(kind: type, value: Any, where: str) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{where} is {value!r}; expected {kind.__name__}.")
    return value
