"""Settings of a training run: frozen dataclasses, read from a TOML file."""

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from ..networks.vqgan import Architecture

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Configurations that come with the package, by their name without ".toml".
PRESETS = Path(__file__).resolve().parent / "presets"

Task = Literal["restoration", "colorization", "inpainting"]


@dataclass(frozen=True)
class TrainingFaces:
    """The training images and their augmentation; ranges are fractions of the face's side, or of 1 for colours."""

    folder: Path  # aligned faces, square, of any size; `codeformer crop` makes them from photos
    hold_out: int = 0  # every n-th face by name is held out for evaluation; 0: none
    shift: float = 0.0  # largest shift of the crop
    zoom: float = 0.0  # largest fraction that is cropped away
    colour: float = 0.0  # largest change of brightness, contrast and saturation


@dataclass(frozen=True)
class Degradation:
    """How a clear face is degraded; lengths in pixels of a 512-pixel face, noise in levels of 255.

    The ranges are those of the paper (section 4.1); the stage III file of the reference has smaller ones (options/*.yml).
    """

    task: Task = "restoration"  # "inpainting" hides brush strokes instead of everything below
    blur: tuple[float, float] = (1.0, 15.0)  # standard deviation of the Gaussian kernel, isotropic or anisotropic
    shrink: tuple[float, float] = (1.0, 30.0)  # downsampling factor
    noise: tuple[float, float] = (0.0, 20.0)  # standard deviation of Gaussian noise
    jpeg: tuple[float, float] = (30.0, 90.0)  # quality
    grey: float = 0.0  # probability of a grey face
    tint: float = 0.0  # probability that each channel is shifted
    jitter: float = 0.0  # probability that brightness, contrast and saturation change


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses; 0 leaves one out. Defaults: the paper, section 3, and options/*.yml of the reference."""

    pixel: float = 1.0  # L1 between images
    structure: float = 0.0  # L1 between their gradients at three scales; needs no other network
    perceptual: float = 0.0  # distance in VGG16 features; needs `perceptual_file`
    adversarial: float = 0.8  # factor of the adaptive weight (0.8 in the paper; 0.1 in the reference's stage III)
    adversarial_from: int = 0  # step from which the discriminator takes part
    code: float = 1.0  # stage I: codebook loss; II and III: factor of all code losses
    commitment: float = 0.25  # stage I: commitment loss of the encoder (beta)
    token: float = 0.5  # stages II and III: cross entropy of the predicted codes (lambda_token)
    feature: float = 1.0  # stages II and III: L2 between the encoder's features and the clear face's quantised ones
    perceptual_file: Path | None = None  # torchvision's VGG16 weights


@dataclass(frozen=True)
class Optimiser:
    """AdamW, learning-rate schedule and EMA. Defaults: the paper, section 4.1, for stages I and II."""

    steps: int  # of the whole run
    batch: int = 16  # faces per step and process
    rate: float = 8e-5  # learning rate after the warm-up
    last_rate: float = 8e-5  # final learning rate of the cosine schedule
    warm_up: int = 0  # steps of linear warm-up
    decay: float = 0.0  # weight decay
    clip: float = 10.0  # largest norm of all gradients together
    average: float = 0.995  # decay of the EMA, whose weights are saved as `params_ema`
    precision: Literal["fp32", "bf16"] = "bf16"


@dataclass(frozen=True)
class Codebook:
    """Initialisation and utilisation of stage I's codebook; the paper, with 1.5 million steps, needs neither."""

    continuous: int = 0  # steps before the first quantisation; then k-means of features initialises the codebook
    revive: int = 0  # entries unused for so many steps are replaced by current features; 0: never


@dataclass(frozen=True)
class Intervals:
    """Steps between log lines, checkpoints and contact sheets."""

    log: int = 20
    checkpoint: int = 200
    sheet: int = 1000


@dataclass(frozen=True)
class Config:
    """One run."""

    stage: Literal[1, 2, 3]
    out: Path  # folder of the run: `state.pt` for resuming, `network.pth`, `log.jsonl`, contact sheets
    faces: TrainingFaces
    network: Architecture
    optimiser: Optimiser
    start: Path | None = None  # `network.pth` of the stage before; None in stage I
    codes_from: Path | None = None  # stage III only: `network.pth` of stage I, whose encoder gives a clear face's codes
    seed: int = 0  # of everything random
    threads: int | None = None  # CPU threads; None: PyTorch's choice
    degradation: Degradation = Degradation()
    losses: LossWeights = LossWeights()
    codebook: Codebook = Codebook()
    every: Intervals = Intervals()

    def __post_init__(self) -> None:
        if (self.start is None) != (self.stage == 1):
            raise ValueError("Stages 2 and 3 start from the network.pth of the stage before, stage 1 from none: check `start`.")
        if (self.codes_from is None) == (self.stage == 3):
            raise ValueError("Stage 3, and no other, takes the true codes from the network.pth of stage 1: check `codes_from`.")
        if self.stage == 3 and (found := self.network.task) != self.degradation.task:
            raise ValueError(
                f"A network of this layout would be taken for one for {found}; expected one for {self.degradation.task}. "
                "Restoration fuses at half the crop's side, the others do not; inpainting has a codebook of 512, colorization "
                "another: change [network]."
            )
        if self.losses.perceptual and self.losses.perceptual_file is None:
            raise ValueError("Found a perceptual loss without perceptual_file: name VGG16 weights, or use structure instead.")


def read(path: Path | str) -> Config:
    """A TOML file, or the name of a preset, as a configuration; paths in it are relative to the current folder.

    Raises:
        ValueError: no such file, no TOML, or unknown names or wrong values.
    """
    file = PRESETS / f"{path}.toml" if (PRESETS / f"{path}.toml").is_file() else Path(path)
    if not file.is_file():
        names = ", ".join(sorted(preset.stem for preset in PRESETS.glob("*.toml")))
        raise ValueError(f"{path} does not exist. Name a TOML file, or one of {names}.")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}.") from error
    return _table(Config, content, str(path))


def _table(kind: type[Any], content: Mapping[str, Any], where: str) -> Any:
    """A TOML table as an instance of the dataclass `kind`."""
    types = get_type_hints(kind)
    if unknown := [name for name in content if name not in types]:
        raise ValueError(f"{where} says {', '.join(unknown)}; expected {', '.join(types)}.")
    required = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]
    if missing := [name for name in required if name not in content]:
        raise ValueError(f"{where} does not say {', '.join(missing)}.")
    return kind(**{name: _value(types[name], value, f"{where}: {name}") for name, value in content.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    """A TOML value as a field of type `kind`; of `X | None`, as X."""
    kind = next(iter(get_args(kind)), kind) if isinstance(kind, UnionType) else kind
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {value!r}; expected a table, [{where.rpartition(' ')[2]}].")
        return _table(cast(type, kind), value, where)
    if kind == tuple[float, float]:
        if not (isinstance(value, list) and len(value) == 2 and all(type(bound) in (int, float) for bound in value)):
            raise ValueError(f"{where} is {value!r}; expected a range of two numbers, such as [1, 15].")
        return (float(value[0]), float(value[1]))
    if kind == tuple[int, ...]:
        return tuple(_value(int, item, where) for item in _value(list, value, where))
    if kind is Path:
        return Path(_value(str, value, where)).expanduser()
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if _value(type(choices[0]), value, where) not in choices:
            raise ValueError(f"{where} is {value!r}; expected one of {', '.join(map(str, choices))}.")
        return value
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"{where} is {value!r}; expected {kind.__name__}.")
    return kind(value)
