"""Multi-object tracking of faces in the manner of SORT (Bewley 2016): association, false positives, missed detections.

Detections are associated greedily by the distance of their landmarks from where a track is expected (constant velocity). A
frame is delayed until enough later frames are known, so that smoothing does not lag and missed detections are interpolated.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..faces import Face
from ..options import Steadiness
from .smoothing import Detection, smooth_detections

#: The gate of the association: the mean distance of the landmarks from where the track is expected, in sides of the box. In the
#: test videos 99 of 100 faces move by less than 0.31 from detection to detection, and the next other face is 0.5 away.
MAX_DISTANCE = 0.5

#: The largest change of size since the last detection, as a factor; in the test videos 99 of 100 faces stay within 1.22.
MAX_GROWTH = 1.6


class Tracked(NamedTuple):
    """A face of a finished frame.

    Attributes:
        face: with smoothed box and landmarks. Its `image_index` is that of the detection; of an interpolated face, that of the
            detection before.
        track: the number of its track, the same in every frame of a shot and never used again. It is made of the frame in which
            the track begins, so that it is the same wherever work on the film begins.
        opacity: above 0 to 1, the weight with which it is pasted.
        found: the detection itself; None for an interpolated face.
        place: its place among the faces that are worked on, from 1, see `choice`; 0 where they are chosen in every frame.
    """

    face: Face
    track: int
    opacity: float
    found: Face | None = None
    place: int = 0


@dataclass
class _Track:
    """The detections of one face. Frames are counted from the beginning of the shot.

    Attributes:
        first: the frame of the first detection.
        hits: the number of detections so far.
        detections: frame -> detection, oldest first, as far back as smoothing looks.
    """

    first: int
    hits: int = 0
    detections: dict[int, Detection] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The frame of the last detection."""
        return next(reversed(self.detections))

    def distance(self, face: Face, frame: int) -> float:
        """Mean distance of landmarks from where they are expected, in sides of the box; infinite beyond `MAX_GROWTH`.

        Expected are those of the last detection, at rest or at constant velocity, whichever is closer.
        """
        *earlier, last = self.detections
        latest = self.detections[last].face
        if face.area <= 0 or latest.area <= 0 or not 1 / MAX_GROWTH**2 <= face.area / latest.area <= MAX_GROWTH**2:
            return float("inf")
        landmarks, at_rest = np.array(face.landmarks), np.array(latest.landmarks)
        expected = [at_rest]
        if earlier:
            velocity = (at_rest - np.array(self.detections[earlier[-1]].face.landmarks)) / (last - earlier[-1])
            expected.append(at_rest + velocity * (frame - last))
        nearest = min(np.linalg.norm(landmarks - place, axis=1).mean() for place in expected)
        return float(nearest) / (face.area * latest.area) ** 0.25


class Tracker:
    """Tracks and smooths the detections of one frame after the other; frames come out `delay` frames later.

    Attributes:
        delay: the number of further frames after which a frame is finished; a cut finishes all frames before it.
    """

    def __init__(self, steadiness: Steadiness, first: int = 0) -> None:
        """`first`: how many frames of the film came before; it goes into the tracks' numbers."""
        max_age, min_hits = steadiness.max_age, steadiness.min_hits
        self.steadiness = steadiness
        # Smoothing looks ahead by a window; a track ends max_age frames after its last detection; hits may lie max_age apart.
        self.delay = max(steadiness.window, max_age + steadiness.fade_frames, (min_hits - 1) * (max_age + 1))
        self._frame = first  # the number in the film of the frame that comes next
        self._begin_shot()

    def _begin_shot(self) -> None:
        self._shot = 0  # frames of this shot so far
        self._tracks: dict[int, _Track] = {}
        self._pending: deque[list[int]] = deque()  # of each frame, the tracks of its detections

    def push(self, faces: Sequence[Face], cut: bool = False) -> list[list[Tracked]]:
        """Add a frame; returns the frames that are finished by it, oldest first.

        Args:
            faces: the detections of the frame.
            cut: whether the frame begins a new shot: no face is tracked across it.

        Returns:
            For each finished frame the detected faces in the order in which they were pushed, without false positives, then the
            interpolated ones.
        """
        finished = self.finish() if cut else []
        self._pending.append(self._associate(faces))
        self._shot += 1
        self._frame += 1
        if len(self._pending) > self.delay:
            finished.append(self._finish_oldest(ended=False))
        return finished

    def finish(self) -> list[list[Tracked]]:
        """The pending frames, at the end of the video."""
        finished = [self._finish_oldest(ended=True) for _ in range(len(self._pending))]
        self._begin_shot()
        return finished

    def _associate(self, faces: Sequence[Face]) -> list[int]:
        """The track of each detection: the closest pairs of track and detection first; a new track for each of the others."""
        frame = self._shot
        alive = {number: track for number, track in self._tracks.items() if frame - track.last <= self.steadiness.max_age + 1}
        pairs = [
            (track.distance(face, frame), number, row) for number, track in alive.items() for row, face in enumerate(faces)
        ]
        chosen: dict[int, int] = {}  # row -> track
        for distance, number, row in sorted(pairs):
            if distance <= MAX_DISTANCE and row not in chosen and number not in chosen.values():
                chosen[row] = number
        for row, face in enumerate(faces):
            if row not in chosen:
                chosen[row] = self._frame << 20 | row
                self._tracks[chosen[row]] = _Track(frame)
            track = self._tracks[chosen[row]]
            track.detections[frame] = Detection(face)
            track.hits += 1
        return [chosen[row] for row in range(len(faces))]

    def _finish_oldest(self, ended: bool) -> list[Tracked]:
        """The oldest pending frame; `ended`: no frame of the shot will follow."""
        detected = self._pending.popleft()
        frame, tracks = self._shot - len(self._pending) - 1, self._tracks
        window, max_age = self.steadiness.window, self.steadiness.max_age
        missed = [index for index, track in tracks.items() if track.first <= frame <= track.last and index not in detected]
        required = min(self.steadiness.min_hits, self._shot)
        result = [self._tracked(index, frame, ended) for index in (*detected, *missed) if tracks[index].hits >= required]
        self._tracks = {i: track for i, track in tracks.items() if track.last > frame or track.last + max_age >= self._shot - 1}
        oldest = frame - max(window, max_age + 1)  # smoothing needs a window; association the last two detections, at least
        for track in self._tracks.values():
            track.detections = {number: detection for number, detection in track.detections.items() if number >= oldest}
        return result

    def _tracked(self, index: int, frame: int, ended: bool) -> Tracked:
        track, window, fade = self._tracks[index], self.steadiness.window, self.steadiness.fade_frames + 1
        own = track.detections.get(frame)
        if own and window == 0:
            face = own.face
        else:
            face = smooth_detections(track.detections, frame, window if own else max(window, self.steadiness.max_age))
        opacity = (frame - track.first + 1) / fade if track.first > 0 else 1.0
        if not (ended and track.last == self._shot - 1):
            opacity = min(opacity, (track.last - frame + 1) / fade)
        return Tracked(face, index, min(1.0, opacity), own.face if own else None)
