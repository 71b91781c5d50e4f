"""The measurements: their steps, and the parameters that each depends on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple


class Measurement(NamedTuple):
    """One measurement.

    Attributes:
        steps: its rows, in order of execution.
        axes: the attributes of `Case` that they depend on.
    """

    steps: tuple[str, ...]
    axes: tuple[str, ...]


#: Steps that share a run. The parts of the network have their own, since timing them apart synchronises the GPU.
MEASUREMENTS: dict[str, Measurement] = {
    "start": Measurement(("python", "import torch", "codeformer --help"), ()),
    "load": Measurement(("load",), ()),
    "torch.load": Measurement(("torch.load",), ()),
    "detect": Measurement(("detect",), ("size",)),
    "align": Measurement(("align",), ("size", "faces")),
    "parts": Measurement(("encode", "predict", "decode"), ("precision", "batch")),
    "restore": Measurement(("restore",), ("precision", "batch")),
    "compiled": Measurement(("compile", "restore compiled"), ("precision", "batch")),
    "graph": Measurement(("restore as a CUDA graph",), ("precision", "batch")),
    "parse": Measurement(("parse",), ("precision", "batch")),
    "paste": Measurement(("paste",), ("size", "faces")),
    "picture": Measurement(("picture",), ("precision", "size", "faces")),
    "folder": Measurement(("fix folder",), ("precision", "size", "faces")),
    "video": Measurement(("read video", "write video"), ("size",)),
    "fixed video": Measurement(("fix video", "networks in it"), ("precision", "size")),
}

#: The choices of --steps.
STEPS = tuple(step for measurement in MEASUREMENTS.values() for step in measurement.steps)

#: Precisions of the networks, see `networks.precision`.
PRECISIONS = ("exact", "balanced", "fast")


@dataclass(frozen=True)
class Case:
    """One measurement at given parameters; those that it does not depend on are None.

    Attributes:
        name: a row of `MEASUREMENTS`.
        device: as torch calls it.
        precision: of the networks.
        size: (width, height) of the image in pixels.
        faces: in the image.
        batch: crops per call.
        frames: of a clip.
    """

    name: str
    device: str
    precision: str | None = None
    size: tuple[int, int] | None = None
    faces: int | None = None
    batch: int | None = None
    frames: int | None = None

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of its rows."""
        return MEASUREMENTS[self.name].steps

    @property
    def size_text(self) -> str:
        """The image size as text; empty without one."""
        return f"{self.size[0]}x{self.size[1]}" if self.size else ""

    def __str__(self) -> str:
        faces = f"faces {self.faces}" if self.faces else ""
        batch = f"batch {self.batch}" if self.batch else ""
        return " ".join(filter(None, (self.name, self.device, self.precision, self.size_text, faces, batch)))


class Scale(NamedTuple):
    """How much is measured.

    Attributes:
        steps: of `STEPS`.
        sizes, faces, batches, precisions: the values of the axes, see `Case`.
        rounds: at most, after one warm-up.
        seconds: time limit of a case, checked after two rounds.
    """

    steps: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    faces: tuple[int, ...]
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    rounds: int
    seconds: float


#: Steps that run only with --steps or --full.
SLOW = ("compile", "restore compiled", "restore as a CUDA graph", "picture", "fix folder", "fix video", "networks in it")

#: The default: takes a minute or two.
QUICK = Scale(
    steps=tuple(step for step in STEPS if step not in SLOW),
    sizes=((1920, 1080),),
    faces=(1, 4),
    batches=(1,),
    precisions=PRECISIONS,
    rounds=5,
    seconds=10,
)

#: --full: hours on a CPU.
FULL = Scale(
    steps=STEPS,
    sizes=((1920, 1080), (4000, 3000)),
    faces=(1, 4, 10, 20),
    batches=(1, 2, 4, 8),
    precisions=PRECISIONS,
    rounds=9,
    seconds=60,
)


def cases(scale: Scale, devices: Sequence[str]) -> Iterator[Case]:
    """Every case of a scale on these devices. Measurements that do not depend on the device run on the first only."""
    values = {"precision": scale.precisions, "size": scale.sizes, "faces": scale.faces, "batch": scale.batches}
    for device in devices:
        for name, (steps, axes) in MEASUREMENTS.items():
            if not set(steps) & set(scale.steps) or (device != devices[0] and name in ("start", "torch.load")):
                continue
            if name == "graph" and not device.startswith("cuda"):
                continue
            for chosen in product(*(values[axis] for axis in axes)):
                yield Case(name, device, **dict(zip(axes, chosen, strict=True)))
