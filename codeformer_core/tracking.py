"""Follow faces over consecutive frames: who is who, and where each face is once the detector's trembling is taken out.

Pure numbers, no pictures. Every frame waits until enough frames behind it are known, so that what is smoothed never lags.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .faces import Face

#: How far a face may have moved between two finds, in sizes of the face, each landmark on average; beyond it is another face.
REACH = 0.5

#: How many times larger or smaller it may have become.
GROWTH = 1.6


@dataclass(frozen=True)
class Steadiness:
    """How faces are made steady over time. Results never depend on how the frames were grouped.

    Attributes:
        window: frames to each side over which landmarks and boxes are smoothed; symmetric, so that nothing lags. 0: not at all.
        gap: frames in which a face may be missed between two finds; they are filled. 0: none.
        hits: finds that a face must have, unless its shot is shorter; fewer are taken for a false find and dropped. 1: none.
        fade: frames over which a mask fades in when a face appears within a shot, and out before it leaves. 0: at once.
        codes: 0 to 1, how much the codes of neighbouring frames count, see `steady.SteadyCodes`. 0: not at all.
    """

    window: int = 5
    gap: int = 5
    hits: int = 3
    fade: int = 4
    codes: float = 0.8

    def __post_init__(self) -> None:
        numbers = {"window": self.window, "gap": self.gap, "hits": self.hits - 1, "fade": self.fade, "codes": self.codes}
        wrong = [name for name, value in numbers.items() if value < 0]
        if wrong or self.codes > 1:
            raise ValueError(f"Found {self}. Expected no negative number, at least one hit, and codes from 0 to 1.")


#: Every frame by itself, as if it were a picture.
OFF = Steadiness(window=0, gap=0, hits=1, fade=0, codes=0.0)


class Tracked(NamedTuple):
    """A face of a finished frame.

    Attributes:
        face: with smoothed box and landmarks; its `image_index` is that of the face as it was pushed. A filled one has those
            of the find before it, and the lower score of the two around it.
        track: the same number for the same face in every frame of a shot, never used again after it.
        opacity: 0 to 1, how much of it is to be pasted.
    """

    face: Face
    track: int
    opacity: float


@dataclass
class _Track:
    """Finds of one face, oldest first; frames count from the beginning of the video."""

    number: int
    first: int
    starts_shot: bool
    hits: int = 0
    places: dict[int, Face] = field(default_factory=dict)


class Tracker:
    """Takes the faces of one frame after the other and gives them back, followed and smoothed, `delay` frames later."""

    def __init__(self, steadiness: Steadiness) -> None:
        self.steadiness = steadiness
        self.delay = 0
        self._count = 0

    def push(self, faces: Sequence[Face], cut: bool = False) -> list[list[Tracked]]:
        """One frame in, the frames that are finished now out, oldest first."""
        first, self._count = self._count, self._count + len(faces)
        return [[Tracked(face, first + index, 1.0) for index, face in enumerate(faces)]]

    def finish(self) -> list[list[Tracked]]:
        """The frames that still wait, at the end of the video."""
        return []
