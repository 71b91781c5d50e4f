"""The stages of a video in which the network works: encode, average the codes over time, and decode.

The maps that the encoder hands to the decoder past the codes take 46 MB a face. Those of all frames in flight are bounded in
bytes: what is beyond is dropped, and encoded again when it is decoded.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Protocol

import torch
from torch import Tensor

from ..extras import Extras
from ..faces import AlignedFaces
from ..imaging.colour import keep_grey
from ..networks.encoded import EncodedFaces, join_encoded
from ..options import FixOptions
from ..pipeline import postprocess_crops
from ..restoration import Restorer
from ..runtime.batching import BatchLimit, run_in_batches
from ..runtime.finite import check_finite
from .code_averaging import LogitAverager
from .stages import F, FrameState

#: Bytes of maps between `encode_faces` and `decode_faces`: 33 faces at 512 pixels. Averaging looks three frames ahead, and both
#: stages gather a batch of 8, so that up to 5 faces a frame are encoded once.
MOST = 3 << 29


class SteadyRestorer(Restorer, Protocol):
    """A restorer in two halves, between which the code logits of neighbouring frames are averaged."""

    def encode_faces(self, crops: Tensor, fidelity: float | Tensor) -> EncodedFaces:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> their encodings."""
        ...

    def decode_faces(self, encoded: EncodedFaces, fidelity: float | Tensor, match_style: bool) -> Tensor:
        """Encodings of N faces -> restored crops (N, 3, S, S) in [0, 1]."""
        ...


class MapBudget:
    """Counts the maps that are held, frame by frame.

    Attributes:
        held: bytes now.
    """

    def __init__(self, most: int = MOST) -> None:
        self.held, self._most = 0, most

    def take(self, needed: int) -> bool:
        """Whether a frame may keep maps of so many bytes; they count until `release`."""
        fits = self.held + needed <= self._most
        self.held += needed if fits else 0
        return fits

    def release(self, encoded: EncodedFaces) -> None:
        """The maps of a frame are no longer needed."""
        self.held -= encoded.map_bytes


def encode_stage(
    states: Iterable[FrameState[F]], restorer: SteadyRestorer, fidelity: float, options: FixOptions, budget: MapBudget
) -> Iterator[FrameState[F]]:
    """Encode the crops, and average the code logits of each track over neighbouring frames.

    Args:
        fidelity: the highest of all faces: at 0 no maps are needed.
    """
    averager, batches = LogitAverager(options.steadiness.strength if options.steady else 0), BatchLimit(options.batch)
    pending: deque[FrameState[F]] = deque()
    for group in _full_batches(states, options):
        encoded = _encode([state.aligned.crops for state in group if state.aligned], restorer, fidelity, batches, budget)
        for state in group:
            pending.append(state)
            tracks = [tracked.track for tracked in state.tracked]
            for averaged in averager.push(tracks, encoded.popleft() if state.aligned else None):
                yield pending.popleft()._replace(encoded=averaged)
    for averaged in averager.finish():
        yield pending.popleft()._replace(encoded=averaged)


def _encode(
    crops: Sequence[Tensor], restorer: SteadyRestorer, fidelity: float, batches: BatchLimit, budget: MapBudget
) -> deque[EncodedFaces]:
    """The encodings of each frame's crops, of which those that are beyond the budget have no maps."""
    if not crops:
        return deque()
    together = torch.cat(list(crops))  # (N, 3, S, S)
    pieces: list[list[EncodedFaces]] = [[] for _ in crops]
    kept: dict[int, bool] = {}

    def encode(part: slice) -> EncodedFaces:
        return restorer.encode_faces(together[part], fidelity)

    for part, encoded in run_in_batches(encode, len(together), lambda: batches.most, limit=batches):
        for frame, _, of_part in _frames_of(part, crops):
            if frame not in kept:
                kept[frame] = budget.take(encoded.map_bytes // encoded.faces * len(crops[frame]))
            whole = encoded if kept[frame] else encoded.without_maps()
            pieces[frame].append(whole.rows(range(of_part.start, of_part.stop)))
    return deque(map(join_encoded, pieces))


def _frames_of(part: slice, frames: Sequence[Tensor]) -> Iterator[tuple[int, slice, slice]]:
    """Which rows of which frames are in a part of all their rows: the frame's number, its rows, and the part's."""
    first = 0
    for number, rows in enumerate(frames):
        begin, end = max(part.start, first), min(part.stop, first + len(rows))
        if begin < end:
            yield number, slice(begin - first, end - first), slice(begin - part.start, end - part.start)
        first += len(rows)


def decode_stage(
    states: Iterable[FrameState[F]],
    restorer: SteadyRestorer,
    fidelity: float,
    options: FixOptions,
    extras: Extras,
    budget: MapBudget,
) -> Iterator[FrameState[F]]:
    """Decode the encodings into restored crops; those that lost their maps are encoded again, batch by batch."""
    batches = BatchLimit(options.batch)

    def decode(encoded: Sequence[EncodedFaces], crops: Sequence[Tensor], own: Sequence[Tensor | None], part: slice) -> Tensor:
        pieces, weights = [], []
        for frame, rows, _ in _frames_of(part, crops):
            piece = encoded[frame].rows(rows)
            if not piece.map_bytes:
                piece = restorer.encode_faces(crops[frame][rows], fidelity)._replace(logits=piece.logits)
            pieces.append(piece)
            if (of_frame := own[frame]) is not None:
                weights.append(of_frame[rows])
        weight = torch.cat(weights) if weights else fidelity
        return restorer.decode_faces(join_encoded(pieces), weight, options.match_style)

    for group in _full_batches(states, options):
        encoded = [state.encoded for state in group if state.encoded]
        if not encoded:
            yield from group
            continue
        degraded = [state.aligned.crops for state in group if state.aligned]
        aligned = AlignedFaces.joined([state.aligned for state in group if state.aligned])
        own = [state.fidelity for state in group if state.aligned]
        restored = batches.run(partial(decode, encoded, degraded, own), len(aligned))
        for one in encoded:
            budget.release(one)
        group = [state._replace(encoded=None) for state in group]
        encoded.clear()
        crops = torch.cat(restored)
        if extras.face_upscaler is not None:
            check_finite(crops, restorer, aligned.crops, "face")
        crops = keep_grey(crops.to(aligned.crops), aligned.originals, aligned.grey, options.grey)
        drawn = replace(aligned, crops=crops, unchecked=restorer)  # by `paste`, so that a GPU is waited for once
        finished, index = postprocess_crops(drawn, options, extras), count()
        for state in group:
            yield state._replace(aligned=finished.of_image(next(index))) if state.aligned else state


def _full_batches(states: Iterable[FrameState[F]], options: FixOptions) -> Iterator[list[FrameState[F]]]:
    """Consecutive frames whose faces fill a batch of the network; at most a chunk of frames, so that none waits long."""
    group: list[FrameState[F]] = []
    for state in states:
        group.append(state)
        if sum(len(member.tracked) for member in group) >= options.batch or len(group) == options.chunk:
            yield group
            group = []
    yield group
