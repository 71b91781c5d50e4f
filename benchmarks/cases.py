"""What is measured: the steps, and what each of them depends on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple


class Measurement(NamedTuple):
    """What one run measures.

    Attributes:
        steps: the rows that it gives, in the order in which they are done.
        axes: the attributes of `Case` that they depend on.
    """

    steps: tuple[str, ...]
    axes: tuple[str, ...]


#: What is done in one go. The network is run once more in parts, since telling these apart costs time on a GPU.
MEASUREMENTS: dict[str, Measurement] = {
    "start": Measurement(("python", "import torch", "codeformer --help"), ()),
    "load": Measurement(("load",), ()),
    "torch.load": Measurement(("torch.load",), ()),
    "detect": Measurement(("detect",), ("size",)),
    "align": Measurement(("align",), ("size", "faces")),
    "parts": Measurement(("encode", "predict", "decode"), ("precision", "batch")),
    "restore": Measurement(("restore",), ("precision", "batch")),
    "compiled": Measurement(("compile", "restore compiled"), ("precision", "batch")),
    "parse": Measurement(("parse",), ("precision", "batch")),
    "paste": Measurement(("paste",), ("size", "faces")),
    "picture": Measurement(("picture",), ("precision", "size", "faces")),
    "video": Measurement(("read video", "write video"), ("size",)),
    "fixed video": Measurement(("fix video", "networks in it"), ("precision", "size")),
}

#: Every step that can be asked for.
STEPS = tuple(step for measurement in MEASUREMENTS.values() for step in measurement.steps)

#: How exactly networks compute, see `networks.precision`.
PRECISIONS = ("exact", "balanced", "fast")


@dataclass(frozen=True)
class Case:
    """One measurement; what it does not depend on is None.

    Attributes:
        name: a row of `MEASUREMENTS`.
        device: as torch calls it.
        precision: of the networks.
        size: (width, height) of the picture in pixels.
        faces: in the picture.
        batch: crops per call.
    """

    name: str
    device: str
    precision: str | None = None
    size: tuple[int, int] | None = None
    faces: int | None = None
    batch: int | None = None

    @property
    def steps(self) -> tuple[str, ...]:
        """The rows that it gives."""
        return MEASUREMENTS[self.name].steps

    @property
    def picture(self) -> str:
        """The picture's size as it is written; empty where there is none."""
        return f"{self.size[0]}x{self.size[1]}" if self.size else ""

    def __str__(self) -> str:
        faces = f"faces {self.faces}" if self.faces else ""
        batch = f"batch {self.batch}" if self.batch else ""
        return " ".join(filter(None, (self.name, self.device, self.precision, self.picture, faces, batch)))


class Scale(NamedTuple):
    """How much is measured.

    Attributes:
        steps: of `STEPS`.
        sizes, faces, batches, precisions: the values of the axes, see `Case`.
        rounds: how often each case is run at most, after one run that does not count.
        seconds: after so many seconds a case ends, with two rounds or more.
    """

    steps: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    faces: tuple[int, ...]
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    rounds: int
    seconds: float


#: What is measured only when it is asked for by name or with everything.
SLOW = ("compile", "restore compiled", "picture", "fix video", "networks in it")

#: A table in a minute or two.
QUICK = Scale(
    steps=tuple(step for step in STEPS if step not in SLOW),
    sizes=((1920, 1080),),
    faces=(1, 4),
    batches=(1,),
    precisions=PRECISIONS,
    rounds=5,
    seconds=10,
)

#: Everything; on a CPU it takes hours.
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
    """Every case of a scale on these devices. What does not depend on the device is measured on the first only."""
    values = {"precision": scale.precisions, "size": scale.sizes, "faces": scale.faces, "batch": scale.batches}
    for device in devices:
        for name, (steps, axes) in MEASUREMENTS.items():
            if not set(steps) & set(scale.steps) or (device != devices[0] and name in ("start", "torch.load")):
                continue
            for chosen in product(*(values[axis] for axis in axes)):
                yield Case(name, device, **dict(zip(axes, chosen, strict=True)))
