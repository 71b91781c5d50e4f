"""Settings of a training run: frozen dataclasses, which `config_file` reads from TOML files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..networks.vqgan import Architecture

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
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # of the forward pass; auto: bf16 where the device gains from it


@dataclass(frozen=True)
class Codebook:
    """Initialisation and utilisation of stage I's codebook; the paper, with 1.5 million steps, needs neither."""

    continuous: int = 0  # steps before the first quantisation; then k-means of features initialises the codebook
    revive: int = 0  # entries unused for so many steps are replaced by current features; 0: never


@dataclass(frozen=True)
class Intervals:
    """Steps between log lines, checkpoints, validations and contact sheets."""

    log: int = 20  # lines of `log.jsonl`
    checkpoint: int = 200  # files for resuming
    validation: int = 200  # scores of the held-out faces, in `log.jsonl` too; 0: never
    sheet: int = 1000  # contact sheets of the held-out faces


@dataclass(frozen=True)
class Config:
    """One run."""

    stage: Literal[1, 2, 3]  # 1: codebook, 2: code prediction, 3: fusion
    out: Path  # folder of the run: `state.pt` for resuming, `network.pth`, `log.jsonl`, contact sheets
    faces: TrainingFaces
    network: Architecture
    optimiser: Optimiser
    start: Path | None = None  # `network.pth` of the stage before; or a file of this stage or a later one, to fine-tune it
    codes_from: Path | None = None  # `network.pth` of stage I, whose encoder gives a clear face's codes; stage II: as `start`
    seed: int = 0  # of everything random
    threads: int | None = None  # CPU threads; None: PyTorch's choice
    degradation: Degradation = Degradation()
    losses: LossWeights = LossWeights()
    codebook: Codebook = Codebook()
    every: Intervals = Intervals()

    def __post_init__(self) -> None:
        positive = {
            "steps": self.optimiser.steps,
            "batch": self.optimiser.batch,
            "log": self.every.log,
            "checkpoint": self.every.checkpoint,
            "sheet": self.every.sheet,
        }
        if small := [f"{name} = {value}" for name, value in positive.items() if value < 1]:
            raise ValueError(f"Found {', '.join(small)}. Expected 1 or more.")
        if self.start is None and self.stage > 1:
            raise ValueError("Stages 2 and 3 start from the network.pth of the stage before: check `start`.")
        if self.stage == 3 and self.codes_from is None:
            raise ValueError("Stage 3 takes the true codes from the network.pth of stage 1: check `codes_from`.")
        if self.stage == 1 and self.codes_from is not None:
            raise ValueError("Stage 1 makes the codes, so it takes none from a file: remove `codes_from`.")
        if self.stage == 3 and (found := self.network.task) != self.degradation.task:
            raise ValueError(
                f"A network of this layout would be taken for one for {found}; expected one for {self.degradation.task}. "
                "Restoration fuses at half the crop's side, the others do not; inpainting has a codebook of 512, colorization "
                "another: change [network]."
            )
        if self.losses.perceptual and self.losses.perceptual_file is None:
            raise ValueError("Found a perceptual loss without perceptual_file: name VGG16 weights, or use structure instead.")
