"""Which tracks are worked on: each face is chosen once in a shot, by vote over the frames in which it appears, and stays so.

A vote is the median of what the frames say: a limit counts as kept when most of them keep it. Tracks that break a limit, such
as a face that is still too small, are asked again every `FRAMES` frames; a number and a place are given once.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from statistics import median

import numpy as np
import torch

from ..extras import Extras
from ..faces import Face, Skipped
from ..options import FixOptions
from ..selection.select import ORDERS, Measured, limit_reason, measure_coverage, number_reason, place_reason, resolve
from ..selection.sharpness import measure_sharpness
from .stages import F, FrameState

#: Frames of a vote, less than half a second of footage: as many as tracking looks ahead to.
FRAMES = 11

#: In so many of them a face's pixels are looked at, where that is asked for.
SAMPLES = 5


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
        self._choices: dict[int, _Choice] = {}
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
        new = sorted((track for track in faces if track not in numbers), key=lambda track: order.key(typical[track], size))
        numbers |= zip(new, _free(numbers.values()), strict=False)
        places = {track: choice.place for track in faces if (choice := self._choices.get(track)) and choice.place}
        reasons: dict[int, str | None] = {}
        for track in sorted(numbers.keys() - places.keys(), key=numbers.__getitem__):
            reasons[track] = number_reason(numbers[track], self._want)
            if reasons[track] is None:
                reasons[track] = limit_reason(self._measured(typical[track], faces[track], window), self._want)
        passed = [track for track, reason in reasons.items() if reason is None]
        places |= zip(passed, _free(places.values()), strict=False)
        for track in {one.track for one in window[0].tracked if self._is_due(one.track)}:
            reason = reasons[track]
            if reason is None:
                reason = place_reason(places[track], self._want, len(faces))
            old = self._choices.get(track) or _Choice(self._frame, numbers[track])
            place = places.get(track, 0)
            self._choices[track] = replace(old, place=place, reason=reason, since=self._frame)

    def _measured(self, face: Face, own: Sequence[tuple[int, Face]], window: Sequence[FrameState[F]]) -> Measured:
        """What the limits compare, of a track with these faces in frames of the window."""
        sharpness = None
        if self._want.sharpness:
            sampled = own[:: -(-len(own) // SAMPLES)]
            images = ((window[index].frame.image(self._device), face._replace(image_index=0)) for index, face in sampled)
            sharpness = median(measure_sharpness(image, [face])[0] for image, face in images)
        coverage = None if self._inside is None else measure_coverage(self._inside, face, window[0].size)
        return Measured(0, face, window[0].size, sharpness, coverage)


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
