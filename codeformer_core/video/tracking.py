"""Follow faces over consecutive frames: who is who, what was a false find, and what was missed.

Pure numbers, no pictures. A frame waits until enough frames behind it are known, so that nothing in it lags.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..faces import Face
from ..options import Steadiness
from .smoothing import Detection, smooth_detections

#: How far from where it was expected a face may be found, in sides of its box, its landmarks on average; further is another.
#: In the test videos 99 of 100 faces move by less than 0.31 from find to find, and the next other face is 0.5 away.
REACH = 0.5

#: How many times larger or smaller it may have become since the last find; there, 99 of 100 stay within 1.22.
GROWTH = 1.6


class Tracked(NamedTuple):
    """A face of a finished frame.

    Attributes:
        face: with smoothed box and landmarks. Its `image_index` is that of the face as it was pushed; where it was missed, that
            of the find before.
        track: the same number for the same face in every frame of a shot, and never used again.
        opacity: above 0 to 1, how much of it is to be pasted.
    """

    face: Face
    track: int
    opacity: float


@dataclass
class _Track:
    """The finds of one face. Frames are counted from the beginning of the shot.

    Attributes:
        first: the frame of the first find.
        hits: the number of finds so far.
        finds: frame -> find, oldest first, as far back as smoothing looks.
    """

    first: int
    hits: int = 0
    finds: dict[int, Detection] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The frame of the last find."""
        return next(reversed(self.finds))

    def expected(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks (5, 2) where the face was last, and where it is in `frame` if it goes on as it went."""
        last = self.last
        here = _landmarks(self.finds[last].face)
        before = max((number for number in self.finds if number < last), default=None)
        if before is None:
            return here, here
        return here, here + (here - _landmarks(self.finds[before].face)) * (frame - last) / (last - before)


class Tracker:
    """Takes the faces of one frame after the other and gives them back followed and smoothed, some frames later.

    Attributes:
        delay: after how many further frames a frame is finished, at most; a cut finishes all frames before it.
    """

    def __init__(self, steadiness: Steadiness) -> None:
        max_age, min_hits = steadiness.max_age, steadiness.min_hits
        self.steadiness = steadiness
        # So far smoothing looks ahead; a face left when the gap has passed without it; its finds may lie a gap apart each.
        self.delay = max(steadiness.window, max_age + steadiness.fade_frames, (min_hits - 1) * (max_age + 1))
        self._numbers = 0
        self._begin_shot()

    def _begin_shot(self) -> None:
        self._shot = 0  # frames of this shot so far
        self._tracks: dict[int, _Track] = {}
        self._waiting: deque[list[int]] = deque()  # the tracks of the faces of each frame, as they were pushed

    def push(self, faces: Sequence[Face], cut: bool = False) -> list[list[Tracked]]:
        """One frame in, the frames that are finished now out, oldest first.

        Args:
            faces: what was found in the frame.
            cut: whether the frame begins a new shot: no face is followed across it.

        Returns:
            For each finished frame the faces that were found in the order in which they were pushed, without the false ones,
            then those that were missed.
        """
        finished = self.finish() if cut else []
        self._waiting.append(self._follow(faces))
        self._shot += 1
        if len(self._waiting) > self.delay:
            finished.append(self._next(ended=False))
        return finished

    def finish(self) -> list[list[Tracked]]:
        """The frames that still wait, at the end of the video."""
        finished = [self._next(ended=True) for _ in range(len(self._waiting))]
        self._begin_shot()
        return finished

    def _follow(self, faces: Sequence[Face]) -> list[int]:
        """The track of each face: of all pairs of track and face, the closest ones; a new track for the rest."""
        frame = self._shot
        alive = {number: track for number, track in self._tracks.items() if frame - track.last <= self.steadiness.max_age + 1}
        pairs = [(_distance(t, face, frame), number, row) for number, t in alive.items() for row, face in enumerate(faces)]
        chosen: dict[int, int] = {}  # row -> track
        for distance, number, row in sorted(pairs):
            if distance <= REACH and row not in chosen and number not in chosen.values():
                chosen[row] = number
        for row, face in enumerate(faces):
            if row not in chosen:
                chosen[row] = self._numbers
                self._tracks[self._numbers] = _Track(frame)
                self._numbers += 1
            track = self._tracks[chosen[row]]
            track.finds[frame] = Detection(face)
            track.hits += 1
        return [chosen[row] for row in range(len(faces))]

    def _next(self, ended: bool) -> list[Tracked]:
        """The oldest frame that waits; `ended`: no frame of the shot will follow."""
        found = self._waiting.popleft()
        frame = self._shot - len(self._waiting) - 1
        there = [number for number, track in self._tracks.items() if track.first <= frame <= track.last]
        missed = [number for number in there if number not in found]
        enough = min(self.steadiness.min_hits, self._shot)
        result = [self._tracked(number, frame, ended) for number in (*found, *missed) if self._tracks[number].hits >= enough]
        self._forget(frame)
        return result

    def _tracked(self, number: int, frame: int, ended: bool) -> Tracked:
        track, window, max_age = self._tracks[number], self.steadiness.window, self.steadiness.max_age
        own = track.finds.get(frame)
        face = (
            own.face if own and window == 0 else smooth_detections(track.finds, frame, window if own else max(window, max_age))
        )
        opacity = 1.0
        if track.first > 0:
            opacity = (frame - track.first + 1) / (self.steadiness.fade_frames + 1)
        if not (ended and track.last == self._shot - 1):
            opacity = min(opacity, (track.last - frame + 1) / (self.steadiness.fade_frames + 1))
        return Tracked(face, number, min(1.0, opacity))

    def _forget(self, frame: int) -> None:
        """Drop the tracks that ended by `frame`, and the finds that no later frame looks at."""
        max_age = self.steadiness.max_age
        oldest = frame - max(self.steadiness.window, max_age + 1)  # the last two finds, at least
        goes_on = {
            number: track.last > frame or track.last + max_age >= self._shot - 1 for number, track in self._tracks.items()
        }
        self._tracks = {number: track for number, track in self._tracks.items() if goes_on[number]}
        for track in self._tracks.values():
            track.finds = {number: one for number, one in track.finds.items() if number >= oldest}


def _distance(track: _Track, face: Face, frame: int) -> float:
    """How far a face is from where the track is expected, in sides of the box; infinite when its size is another."""
    last = track.finds[track.last].face
    if face.area <= 0 or last.area <= 0 or not 1 / GROWTH**2 <= face.area / last.area <= GROWTH**2:
        return float("inf")
    landmarks = _landmarks(face)
    nearest = min(np.linalg.norm(landmarks - place, axis=1).mean() for place in track.expected(frame))
    return float(nearest) / (face.area * last.area) ** 0.25


def _landmarks(face: Face) -> np.ndarray:
    return np.array(face.landmarks)
