"""Average the code logits of each face over neighbouring frames, so that its codes do not flip from frame to frame.

A face that rests still gets other noise in every frame, and wherever two codes are about as likely, that noise picks one of
them anew each time: skin crawls and eyes change colour. Averaged over a few frames before and after, they agree.
"""

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from ..networks.encoded import EncodedFaces

#: Frames to each side that are averaged. At 25 frames a second, three to each side span a quarter of a second: a syllable.
REACH = 3


class LogitAverager:
    """Between `look` and `draw`: faces of one frame after another go in, and come out with averaged logits, in the same order.

    A neighbour k frames away has weight `strength` ** k. Neighbours that a track does not have, because it begins or ends
    there, are left out and the others weigh more. How many frames are looked at together does not matter.

    Held are the faces of `delay` frames, which still wait for the frames behind them, and of as many frames before the logits
    alone (1 MB a face at 512 pixels). Push copies (`Encoded.rows` with a list) of faces that were looked at in a batch: a view
    would hold the whole batch.

    Attributes:
        delay: after how many further frames a frame comes out.
    """

    def __init__(self, strength: float) -> None:
        """`strength`: 0 to 1; 0 changes nothing, 1 weighs all frames within reach alike."""
        if not 0 <= strength <= 1:
            raise ValueError(f"Found a temporal strength of {strength}. Expected 0 (off) to 1.")
        self.strength = strength
        self.delay = REACH if strength > 0 else 0
        self._before: deque[dict[int, Tensor]] = deque(maxlen=self.delay)  # track -> logits (s * s, K), the oldest first
        self._waiting: deque[tuple[Sequence[int], EncodedFaces | None]] = deque()

    def push(self, tracks: Sequence[int], encoded: EncodedFaces | None) -> list[EncodedFaces | None]:
        """One frame in, the frames that are finished now out (none or one).

        Args:
            tracks: which track each of the N faces belongs to, none twice; a shot cut begins new ones.
            encoded: what was seen in them; None for a frame without faces, which comes out as None.
        """
        self._waiting.append((tracks, encoded))
        return [self._next()] if len(self._waiting) > self.delay else []

    def finish(self) -> list[EncodedFaces | None]:
        """The frames that still wait, at the end of the video."""
        return [self._next() for _ in range(len(self._waiting))]

    def _next(self) -> EncodedFaces | None:
        """The oldest frame that waits, averaged with those before and behind it."""
        tracks, encoded = self._waiting.popleft()
        own = _by_track(tracks, encoded)
        around = [(distance, logits) for distance, logits in enumerate(reversed(self._before), 1)]
        around += [(distance, _by_track(*frame)) for distance, frame in enumerate(self._waiting, 1)]
        self._before.append(own)
        if encoded is None or self.delay == 0:
            return encoded
        averaged = [
            self._average(own[track], [(k, logits[track]) for k, logits in around if track in logits]) for track in tracks
        ]
        return encoded._replace(logits=torch.stack(averaged))

    def _average(self, own: Tensor, neighbours: Sequence[tuple[int, Tensor]]) -> Tensor:
        """Logits (s * s, K) averaged with those of `neighbours`, each with how many frames away it is; float32."""
        total, weights = own.float(), 1.0
        for distance, logits in neighbours:
            weight = self.strength**distance
            total, weights = total + weight * logits, weights + weight
        return total / weights


def _by_track(tracks: Sequence[int], encoded: EncodedFaces | None) -> dict[int, Tensor]:
    return dict(zip(tracks, encoded.logits, strict=True)) if encoded is not None else {}
