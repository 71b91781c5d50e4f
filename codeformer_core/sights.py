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

from . import memory
from .align import align
from .colour import greyed
from .cuts import Cuts
from .encoded import Encoded, join
from .faces import AlignedFaces, Detector, Skipped
from .pipeline import detect, finished
from .recipe import Recipe
from .steady import SteadyCodes
from .steps import Restorer, refuse_broken
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

    def look(self, crops: Tensor, fidelity: float | Tensor) -> Encoded:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> what is seen in them."""
        ...

    def draw(self, encoded: Encoded, fidelity: float | Tensor, match_style: bool) -> Tensor:
        """What was seen in N faces -> restored crops (N, 3, S, S) in [0, 1]."""
        ...


class Sight(NamedTuple, Generic[F]):
    """A frame on its way, with its faces as far as they are known: followed, then cut out, then restored."""

    frame: F
    skipped: list[Skipped]
    tracked: Sequence[Tracked] = ()
    aligned: AlignedFaces | None = None
    encoded: Encoded | None = None


def followed(frames: Iterable[F], detector: Detector, recipe: Recipe, device: torch.device | str) -> Iterator[Sight[F]]:
    """Frames with their faces, found, chosen, followed and smoothed."""
    tracker, cuts = Tracker(recipe.steadiness), Cuts()
    waiting: deque[Sight[F]] = deque()
    for group in _groups(frames, recipe.chunk):
        images = _batch(group, device)
        faces, skipped = detect(images, detector, recipe.options, recipe.selection, recipe.area)
        for index, frame in enumerate(group):
            left_alone = [Skipped(face._replace(image_index=0), why) for face, why in skipped if face.image_index == index]
            waiting.append(Sight(frame, left_alone))
            here = [face._replace(image_index=0) for face in faces if face.image_index == index]
            for tracked in tracker.push(here, cuts.push(images[index : index + 1])):
                yield waiting.popleft()._replace(tracked=tracked)
    for tracked in tracker.finish():
        yield waiting.popleft()._replace(tracked=tracked)


def cut_out(sights: Iterable[Sight[F]], side: int, device: torch.device | str) -> Iterator[Sight[F]]:
    """Frames with aligned faces."""
    for sight in sights:
        if sight.tracked:
            aligned = align(sight.frame.image(device), [tracked.face for tracked in sight.tracked], side)
            opacity = aligned.masks.new_tensor([tracked.opacity for tracked in sight.tracked]).reshape(-1, 1, 1, 1)
            sight = sight._replace(aligned=aligned.with_masks(aligned.masks * opacity))
        yield sight


def restored(sights: Iterable[Sight[F]], restorer: Restorer, recipe: Recipe) -> Iterator[Sight[F]]:
    """Frames with restored faces, each frame by itself."""
    for group in _full_batches(sights, recipe):
        crops = _crops(group)
        if crops is not None:
            drawn = [restorer.restore(part, recipe.fidelity, recipe.match_style) for part in crops.split(recipe.batch)]
            group = _redrawn(group, torch.cat(drawn), recipe)
        yield from group


def steadied(sights: Iterable[Sight[F]], restorer: SteadyRestorer, recipe: Recipe) -> Iterator[Sight[F]]:
    """Frames with restored faces, whose codes agree with those of the frames before and after."""
    for group in _full_batches(_looked_at(sights, restorer, recipe), recipe):
        seen = [sight.encoded for sight in group if sight.encoded]
        if seen:
            every = join(seen)
            parts = [every.rows(slice(first, first + recipe.batch)) for first in range(0, every.faces, recipe.batch)]
            drawn = [restorer.draw(part, recipe.fidelity, recipe.match_style) for part in parts]
            group = _redrawn(group, torch.cat(drawn), recipe)
        yield from group


def _looked_at(sights: Iterable[Sight[F]], restorer: SteadyRestorer, recipe: Recipe) -> Iterator[Sight[F]]:
    """Frames with what the network saw in their faces, the codes averaged over the neighbouring frames."""
    codes = SteadyCodes(recipe.steadiness.codes)
    waiting: deque[Sight[F]] = deque()
    for group in _full_batches(sights, recipe):
        crops, seen, first = _crops(group), None, 0
        if crops is not None:
            seen = join([restorer.look(part, recipe.fidelity) for part in crops.split(recipe.batch)])
        for sight in group:
            waiting.append(sight)
            own = range(first, first := first + len(sight.tracked))
            encoded = seen.rows(own) if seen and len(own) else None
            for averaged in codes.push([tracked.track for tracked in sight.tracked], encoded):
                yield waiting.popleft()._replace(encoded=averaged)
    for averaged in codes.finish():
        yield waiting.popleft()._replace(encoded=averaged)


def _crops(group: Sequence[Sight[F]]) -> Tensor | None:
    """(N, 3, S, S): the faces of all frames of a group; None without any."""
    crops = [sight.aligned.crops for sight in group if sight.aligned]
    return torch.cat(crops) if crops else None


def _redrawn(group: Sequence[Sight[F]], crops: Tensor, recipe: Recipe) -> list[Sight[F]]:
    """The frames of a group with restored crops (N, 3, S, S) for their faces."""
    joint = AlignedFaces.joined([sight.aligned for sight in group if sight.aligned])
    crops = greyed(refuse_broken(crops).to(joint.crops), joint.originals, joint.grey, recipe.grey)
    done = finished(joint.with_crops(crops), recipe.colour, recipe.upscale_faces)
    numbers = count()
    return [sight._replace(aligned=done.of_image(next(numbers))) if sight.aligned else sight for sight in group]


def _groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group


def _full_batches(sights: Iterable[Sight[F]], recipe: Recipe) -> Iterator[list[Sight[F]]]:
    """Consecutive frames whose faces fill a batch of the network; at most a chunk of them, so that none waits long."""
    group: list[Sight[F]] = []
    for sight in sights:
        group.append(sight)
        if sum(len(one.tracked) for one in group) >= recipe.batch or len(group) == recipe.chunk:
            yield group
            group = []
    yield group


def _batch(frames: Sequence[Frame], device: torch.device | str) -> Tensor:
    """(B, 3, H, W), never held twice."""
    first = frames[0].image(device)
    if len(frames) == 1:
        return first
    images = memory.empty(first, len(frames), *first.shape[1:])
    images[0] = first[0]
    for index, frame in enumerate(frames[1:], 1):
        images[index] = frame.image(device)[0]
    return images
