"""What is known of a part of a film when it is finished, and how the work goes on from there."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..faces import Face
from ..video_io import Frame, Part
from .stages import Begin, FrameState

#: Frames of a part: within a shot it ends after the first number, at a cut once it has the second. At a second a frame, as
#: CodeFormer takes on a CPU, five minutes are lost at most. Encoders begin anew every 250 frames by themselves.
LONGEST, SHORTEST = 300, 100


class Place(NamedTuple):
    """A frame of a film by its number, its PTS where reading can begin there, and the checksum of its pixels."""

    number: int
    pts: int | None
    checksum: int


@dataclass
class PartLog:
    """What is known of a part: `about` goes with it.

    Attributes:
        number: of its first frame.
        shot_begin: the first frame of the shot that is worked on.
        shot: its number.
    """

    number: int
    shot_begin: Place | None = None
    shot: int = 0
    frames: int = 0
    _states: list[dict[str, Any]] = field(default_factory=list)
    _tracks: set[int] = field(default_factory=set)
    _harmed: dict[int, str] = field(default_factory=dict)
    _last: tuple[FrameState[Frame], bool] | None = None

    def ends_before(self, state: FrameState[Frame]) -> bool:
        """Whether the part ends before a frame."""
        return is_border(self.frames, state.shot != self.shot)

    def add(self, state: FrameState[Frame], regular: bool) -> None:
        """Add a frame; `regular`: reading can begin there."""
        if self.shot_begin is None or state.shot != self.shot:
            self.shot, self.shot_begin = state.shot, place_of(self.number + self.frames, state.frame, regular)
        restored = [one.found for one in state.tracked if one.found]
        self._states.append({"known": state.found, "restored": restored, "faces": bool(state.tracked)})
        self._tracks.update(one.track for one in state.tracked)
        self._harmed |= state.harmed
        self.frames, self._last = self.frames + 1, (state._replace(image=None, mask=None, aligned=None), regular)

    def about(self, *, cut: bool, last: bool = False, notices: Sequence[str] = ()) -> dict[str, Any]:
        """Everything, as JSON can hold it; `cut`: a shot ends with the part."""
        assert self._last is not None and self.shot_begin is not None
        state, regular = self._last
        return {
            "number": self.number,
            "frames": self.frames,
            "with_faces": sum(one["faces"] for one in self._states),
            "tracks": sorted(self._tracks),
            "harmed": self._harmed,
            "restored": [one["restored"] for one in self._states],
            "known": [one["known"] for one in self._states],
            "cut": cut,
            "place": place_of(self.number + self.frames - 1, state.frame, regular) if cut else self.shot_begin,
            "harm": {track: weight for track, weight in state.harm.items() if track >> 20 >= self.shot_begin.number},
            "last": last,
            "notices": list(notices),
        }


def is_border(frames: int, cut: bool) -> bool:
    """Whether a part of so many frames ends here."""
    return frames >= (SHORTEST if cut else LONGEST)


def end_of(part: Part) -> int:
    """The number of the frame after a part."""
    return part.about["number"] + part.about["frames"]


def continued(done: Sequence[Part]) -> tuple[Begin, Place, int]:
    """Where the work goes on after consecutive parts, where to read from, and how many frames of that are left out."""
    about, number = done[-1].about, end_of(done[-1])
    place = Place(*about["place"])
    if about["cut"]:
        return Begin(number), place, number - place.number
    known = [faces_of(rows) for part in done if end_of(part) > place.number for rows in part.about["known"]]
    known = known[len(known) - (number - place.number) :]
    return Begin(number, known, {int(track): weight for track, weight in about["harm"].items()}), place, 0


def faces_of(rows: Sequence[Any]) -> list[Face]:
    """Faces from JSON."""
    return [
        Face(index, tuple(box), tuple((x, y) for x, y in landmarks), score, *more)
        for index, box, landmarks, score, *more in rows
    ]


def place_of(number: int, frame: Frame, regular: bool) -> Place:
    return Place(number, frame.pts if regular else None, checksum(frame))


def checksum(frame: Frame) -> int:
    return zlib.crc32(frame.image().contiguous().numpy().data)
