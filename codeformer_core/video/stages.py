"""Frames on their way: found and followed, cut out, looked at, restored; one generator for each step.

Each holds only the few frames that it needs, so memory does not grow with the length of a video, and no result depends on how
many frames are looked at together.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ..align import align
from ..faces import AlignedFaces, Detector, Skipped
from ..imaging import buffers
from ..imaging.colour import keep_grey
from ..networks.encoded import EncodedFaces, join_encoded
from ..options import OFF, FixOptions
from ..pipeline import Extras, detect, postprocess_crops
from ..restoration import Restorer, check_finite
from .code_averaging import LogitAverager
from .scene_cuts import SceneCutDetector
from .tracking import Tracked, Tracker


class Frame(Protocol):
    """A frame of a sequence; all have one size."""

    def image(self, device: torch.device | str = "cpu") -> Tensor:
        """(1, 3, H, W) float32 RGB in [0, 1]; asked for up to three times, so that few pictures are held at once."""
        ...


F = TypeVar("F", bound=Frame)

T = TypeVar("T")


class SteadyRestorer(Restorer, Protocol):
    """A restorer in two halves, between which the codes of neighbouring frames are averaged."""

    def encode_faces(self, crops: Tensor, fidelity: float | Tensor) -> EncodedFaces:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> what is seen in them."""
        ...

    def decode_faces(self, encoded: EncodedFaces, fidelity: float | Tensor, match_style: bool) -> Tensor:
        """What was seen in N faces -> restored crops (N, 3, S, S) in [0, 1]."""
        ...


class FrameState(NamedTuple, Generic[F]):
    """A frame on its way, with its faces as far as they are known: followed, then cut out, then restored."""

    frame: F
    skipped: list[Skipped]
    tracked: Sequence[Tracked] = ()
    aligned: AlignedFaces | None = None
    encoded: EncodedFaces | None = None


def one_fidelity(options: FixOptions) -> float:
    """The fidelity of every face of a sequence, in which faces come and go."""
    if not isinstance(options.fidelity, tuple):
        return options.fidelity
    if len(options.fidelity) != 1:
        raise ValueError(f"Found {len(options.fidelity)} fidelities for a sequence of frames. Expected one, for every face.")
    return options.fidelity[0]


def track_faces(
    frames: Iterable[F], detector: Detector, options: FixOptions, inside: Tensor | None, device: torch.device | str
) -> Iterator[FrameState[F]]:
    """Frames with their faces: detected, selected, tracked and smoothed."""
    tracker, cuts = Tracker(options.steadiness if options.steady else OFF), SceneCutDetector()
    waiting: deque[FrameState[F]] = deque()
    for group in _groups(frames, options.chunk):
        images = _batch(group, device)
        faces, skipped = detect(images, detector, options, inside)
        for index, frame in enumerate(group):
            left_alone = [Skipped(face._replace(image_index=0), why) for face, why in skipped if face.image_index == index]
            waiting.append(FrameState(frame, left_alone))
            here = [face._replace(image_index=0) for face in faces if face.image_index == index]
            for tracked in tracker.push(here, cuts.push(images[index : index + 1])):
                yield waiting.popleft()._replace(tracked=tracked)
    for tracked in tracker.finish():
        yield waiting.popleft()._replace(tracked=tracked)


def align_faces(frames: Iterable[FrameState[F]], side: int, device: torch.device | str) -> Iterator[FrameState[F]]:
    """Frames with aligned faces."""
    for state in frames:
        if state.tracked:
            aligned = align(state.frame.image(device), [tracked.face for tracked in state.tracked], side)
            opacity = aligned.masks.new_tensor([tracked.opacity for tracked in state.tracked]).reshape(-1, 1, 1, 1)
            state = state._replace(aligned=aligned.with_masks(aligned.masks * opacity))
        yield state


def restore_faces(
    frames: Iterable[FrameState[F]], restorer: Restorer, options: FixOptions, extras: Extras
) -> Iterator[FrameState[F]]:
    """Frames with restored faces, each frame by itself."""
    for group in _full_batches(frames, options):
        crops = _crops(group)
        if crops is not None:
            drawn = [restorer.restore(part, one_fidelity(options), options.match_style) for part in crops.split(options.batch)]
            group = _redrawn(group, torch.cat(drawn), options, extras)
        yield from group


def restore_steadily(
    frames: Iterable[FrameState[F]], restorer: SteadyRestorer, options: FixOptions, extras: Extras
) -> Iterator[FrameState[F]]:
    """Frames with restored faces, whose codes agree with those of the frames before and after."""
    for group in _full_batches(_looked_at(frames, restorer, options), options):
        seen = [state.encoded for state in group if state.encoded]
        if seen:
            every = join_encoded(seen)
            parts = [every.rows(slice(first, first + options.batch)) for first in range(0, every.faces, options.batch)]
            drawn = [restorer.decode_faces(part, one_fidelity(options), options.match_style) for part in parts]
            group = _redrawn(group, torch.cat(drawn), options, extras)
        yield from group


def _looked_at(frames: Iterable[FrameState[F]], restorer: SteadyRestorer, options: FixOptions) -> Iterator[FrameState[F]]:
    """Frames with what the network saw in their faces, the codes averaged over the neighbouring frames."""
    codes = LogitAverager(options.steadiness.strength)
    waiting: deque[FrameState[F]] = deque()
    for group in _full_batches(frames, options):
        crops, seen, first = _crops(group), None, 0
        if crops is not None:
            seen = join_encoded([restorer.encode_faces(part, one_fidelity(options)) for part in crops.split(options.batch)])
        for state in group:
            waiting.append(state)
            own = range(first, first := first + len(state.tracked))
            encoded = seen.rows(own) if seen and len(own) else None
            for averaged in codes.push([tracked.track for tracked in state.tracked], encoded):
                yield waiting.popleft()._replace(encoded=averaged)
    for averaged in codes.finish():
        yield waiting.popleft()._replace(encoded=averaged)


def _crops(group: Sequence[FrameState[F]]) -> Tensor | None:
    """(N, 3, S, S): the faces of all frames of a group; None without any."""
    crops = [state.aligned.crops for state in group if state.aligned]
    return torch.cat(crops) if crops else None


def _redrawn(group: Sequence[FrameState[F]], crops: Tensor, options: FixOptions, extras: Extras) -> list[FrameState[F]]:
    """The frames of a group with restored crops (N, 3, S, S) for their faces."""
    joint = AlignedFaces.joined([state.aligned for state in group if state.aligned])
    crops = keep_grey(check_finite(crops).to(joint.crops), joint.originals, joint.grey, options.grey)
    done = postprocess_crops(joint.with_crops(crops), options, extras)
    numbers = count()
    return [state._replace(aligned=done.of_image(next(numbers))) if state.aligned else state for state in group]


def _groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group


def _full_batches(frames: Iterable[FrameState[F]], options: FixOptions) -> Iterator[list[FrameState[F]]]:
    """Consecutive frames whose faces fill a batch of the network; at most a chunk of them, so that none waits long."""
    group: list[FrameState[F]] = []
    for state in frames:
        group.append(state)
        if sum(len(one.tracked) for one in group) >= options.batch or len(group) == options.chunk:
            yield group
            group = []
    yield group


def _batch(frames: Sequence[Frame], device: torch.device | str) -> Tensor:
    """(B, 3, H, W), never held twice."""
    first = frames[0].image(device)
    if len(frames) == 1:
        return first
    images = buffers.empty(first, len(frames), *first.shape[1:])
    images[0] = first[0]
    for index, frame in enumerate(frames[1:], 1):
        images[index] = frame.image(device)[0]
    return images
