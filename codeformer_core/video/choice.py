"""Which tracks are worked on: each face is chosen once in a shot, by vote over the frames in which it appears, and stays so.

A vote is the median of what the frames say: a limit counts as kept when most of them keep it. Tracks that break a limit, such
as a face that is still too small, are asked again every `FRAMES` frames; a number and a place are given once.

With `Extras.people` who leaves and returns within a shot is the same person, with the same number and place; and whether a face
is a person who is asked for is voted on like a limit.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from statistics import median

import numpy as np
import torch
from torch import Tensor

from ..extras import Extras
from ..faces import Face, Skipped
from ..options import FixOptions
from ..recognition import SAME_PERSON
from ..selection.select import ORDERS, Measured, limit_reason, measure_coverage, number_reason, place_reason, resolve
from ..selection.sharpness import measure_sharpness
from .stages import F, FrameState

#: Frames of a vote, less than half a second of footage: as many as tracking looks ahead to.
FRAMES = 11

#: In so many of them a face's pixels are looked at, where that is asked for.
SAMPLES = 3


#: The faces of a track in some frames of a window, by the index of the frame.
_Faces = Sequence[tuple[int, Face]]


@dataclass
class _Choice:
    """What is known of a track.

    Attributes:
        first: the frame of its first vote, counted from the beginning of the shot.
        number: in the order of the selection, among all faces that are there when it appears; from 1.
        place: the same among those that keep the limits; 0 until it keeps them.
        reason: why it is left alone; None for a chosen one.
        since: the frame from which on it is chosen.
    """

    first: int
    number: int
    place: int = 0
    reason: str | None = None
    since: int = 0


def choose_stage(
    states: Iterable[FrameState[F]], options: FixOptions, extras: Extras, device: torch.device | str
) -> Iterator[FrameState[F]]:
    """Leave alone the tracks that are not selected; every frame waits for the next `FRAMES` - 1 of its shot."""
    for _, shot in groupby(states, key=lambda state: state.shot):
        chooser, window = _Chooser(options, extras, device), deque[FrameState[F]]()
        for state in shot:
            window.append(state)
            if len(window) == FRAMES:
                yield chooser.choose(window)
                window.popleft()
        while window:
            yield chooser.choose(window)
            window.popleft()


class _Chooser:
    """The choices of one shot."""

    def __init__(self, options: FixOptions, extras: Extras, device: torch.device | str) -> None:
        self._want, self._inside, self._device = resolve(options.asked_selection()), extras.inside, device
        self._fade = options.steadiness.fade_frames + 1
        self._people = extras.people
        self._counts = options.selection.counts or isinstance(options.fidelity, tuple)
        self._choices: dict[int, _Choice] = {}
        self._described: dict[int, tuple[int, Tensor]] = {}  # track -> frame, descriptions (n, 128)
        self._frame = 0

    def choose(self, window: Sequence[FrameState[F]]) -> FrameState[F]:
        """The first of consecutive frames, with the chosen faces in order and the others among the skipped."""
        state = window[0]
        if any(self._is_due(one.track) for one in state.tracked):
            self._vote(window)
        chosen, skipped = [], []
        for one in state.tracked:
            choice = self._choices[one.track]
            if choice.reason:
                skipped.append(Skipped(one.face._replace(image_index=0), choice.reason))
            else:
                faded_in = 1.0 if choice.since == choice.first else (self._frame - choice.since + 1) / self._fade
                place = choice.place - self._want.first + 1
                chosen.append(one._replace(opacity=min(one.opacity, faded_in), place=place))
        chosen.sort(key=lambda one: one.place)
        self._frame += 1
        return state._replace(tracked=chosen, skipped=[*state.skipped, *skipped])

    def _is_due(self, track: int) -> bool:
        """Whether a track has no choice yet, or has broken a limit and is asked again."""
        choice = self._choices.get(track)
        return choice is None or (choice.place == 0 and (self._frame - choice.first) % FRAMES == 0)

    def _vote(self, window: Sequence[FrameState[F]]) -> None:
        """Decide on the tracks of the first frame that are due. Those that are yet to come in the window are counted too."""
        faces: dict[int, list[tuple[int, Face]]] = {}
        for index, state in enumerate(window):
            for one in state.tracked:
                faces.setdefault(one.track, []).append((index, one.face))
        typical = {track: _typical([face for _, face in own]) for track, own in faces.items()}
        size, order = window[0].size, ORDERS[self._want.order]
        numbers = {track: self._choices[track].number for track in faces if track in self._choices}
        places = {track: choice.place for track in faces if (choice := self._choices.get(track)) and choice.place}
        for track, choice in self._returned(faces, window):
            numbers[track] = choice.number
            places |= {track: choice.place} if choice.place else {}
        new = [track for track in faces if track not in numbers]
        new.sort(key=lambda track: order.key(typical[track], size))
        numbers |= zip(new, _free(numbers.values()), strict=False)
        reasons: dict[int, str | None] = {}
        for track in sorted(numbers.keys() - places.keys(), key=numbers.__getitem__):
            reasons[track] = number_reason(numbers[track], self._want)
            if reasons[track] is None:
                reasons[track] = limit_reason(self._measured(track, typical[track], faces[track], window), self._want)
        passed = [track for track, reason in reasons.items() if reason is None]
        places |= zip(passed, _free(places.values()), strict=False)
        for track in {one.track for one in window[0].tracked if self._is_due(one.track)}:
            reason = reasons.get(track)
            if reason is None:
                reason = place_reason(places[track], self._want, len(faces))
            old = self._choices.get(track) or _Choice(self._frame, numbers[track])
            place = places.get(track, 0)
            self._choices[track] = replace(old, place=place, reason=reason, since=self._frame)

    def _measured(self, track: int, face: Face, own: _Faces, window: Sequence[FrameState[F]]) -> Measured:
        """What the limits compare, of a track with these faces in frames of the window."""
        sharpness = None
        if self._want.sharpness:
            sharpness = median(measure_sharpness(image, [face])[0] for image, face in self._samples(own, window))
        if self._people and self._people.references is not None:
            distances = torch.cdist(self._describe(track, own, window), self._people.references).amin(1)
            face = face._replace(distance=median(distances.tolist()))
        coverage = None if self._inside is None else measure_coverage(self._inside, face, window[0].size)
        return Measured(0, face, window[0].size, sharpness, coverage)

    def _samples(self, own: _Faces, window: Sequence[FrameState[F]]) -> Iterator[tuple[Tensor, Face]]:
        """Some of the faces with their images (1, 3, H, W)."""
        for index, face in own[:: -(-len(own) // SAMPLES)]:
            yield window[index].frame.image(self._device), face._replace(image_index=0)

    def _describe(self, track: int, own: _Faces, window: Sequence[FrameState[F]]) -> Tensor:
        """Descriptions (n, 128) of a track: new ones at its first vote, and each time it is twice as old as at the last."""
        assert self._people is not None
        choice = self._choices.get(track)
        frame, known = self._described.get(track, (self._frame, None))
        if known is None or choice is None or self._frame - choice.first >= 2 * (frame - choice.first):
            rows = [self._people.describe(image, [face]) for image, face in self._samples(own, window)]
            self._described[track] = self._frame, torch.cat(rows)
        return self._described[track][1]

    def _returned(self, faces: Mapping[int, _Faces], window: Sequence[FrameState[F]]) -> Iterator[tuple[int, _Choice]]:
        """The tracks without a choice of persons who were there before, and what was chosen then."""
        if self._people is None or not self._counts:
            return
        new = {track: self._describe(track, own, window) for track, own in faces.items() if track not in self._choices}
        gone = [track for track in self._described if track in self._choices and track not in faces]
        for track, rows in new.items():
            apart = {old: float(torch.cdist(rows, self._described[old][1]).median()) for old in gone}
            nearest = min(apart, key=apart.__getitem__, default=None)
            if nearest is not None and apart[nearest] <= SAME_PERSON:
                yield track, self._choices[nearest]


def _free(taken: Iterable[int]) -> Iterator[int]:
    """The numbers from 1 that are not taken."""
    held = set(taken)
    return (number for number in count(1) if number not in held)


def _typical(faces: Sequence[Face]) -> Face:
    """The median of every coordinate and of the score."""
    x0, y0, x1, y1, *points, score = np.median(
        [[*face.box, *np.ravel(face.landmarks), face.score] for face in faces], axis=0
    ).tolist()
    return Face(0, (x0, y0, x1, y1), tuple(zip(points[::2], points[1::2], strict=True)), score)
