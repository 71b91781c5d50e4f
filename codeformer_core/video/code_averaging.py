"""Logit averaging: temporal smoothing of the code logits of each face, so that its codes do not flip from frame to frame.

Even a face at rest has different noise in every frame, and wherever two codes are about equally likely, the noise picks one of
them anew each time: skin crawls and eyes change colour. Averaged over a few frames before and after, the codes agree.
"""

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from ..networks.encoded import EncodedFaces

#: Frames to each side that are averaged. At 25 frames a second, three to each side span a quarter of a second: a syllable.
REACH = 3


class LogitAverager:
    """A weighted moving average of logits over each track, between `encode_faces` and `decode_faces`, one frame at a time.

    A neighbour k frames away has weight `strength` ** k. Where a track begins or ends, the weights of the missing neighbours
    are left out of the sum. The result does not depend on how frames were batched.

    Held are the encodings of the `delay` frames that wait for later ones, and the logits alone (1 MB a face at 512 pixels) of
    as many earlier frames. Push copies of a batch's rows (`EncodedFaces.rows` with a list): a view would hold the whole batch.

    Attributes:
        delay: the number of further frames after which a frame comes out.
    """

    def __init__(self, strength: float) -> None:
        """`strength`: 0 to 1; 0 changes nothing, 1 weighs all frames within `REACH` alike."""
        if not 0 <= strength <= 1:
            raise ValueError(f"Found a temporal strength of {strength}. Expected 0 (off) to 1.")
        self.strength = strength
        self.delay = REACH if strength > 0 else 0
        self._before: deque[dict[int, Tensor]] = deque(maxlen=self.delay)  # track -> logits (s * s, K), the oldest first
        self._pending: deque[tuple[dict[int, Tensor], EncodedFaces | None]] = deque()  # the logits by track, and everything

    def push(self, tracks: Sequence[int], encoded: EncodedFaces | None) -> list[EncodedFaces | None]:
        """Add a frame; returns the frames that are finished by it (none or one).

        Args:
            tracks: which track each of the N faces belongs to, none twice; a shot cut begins new ones.
            encoded: their encodings; None for a frame without faces, which comes out as None.
        """
        logits = {} if encoded is None else dict(zip(tracks, encoded.logits, strict=True))
        self._pending.append((logits, encoded))
        return [self._next()] if len(self._pending) > self.delay else []

    def finish(self) -> list[EncodedFaces | None]:
        """The pending frames, at the end of the video."""
        return [self._next() for _ in range(len(self._pending))]

    def _next(self) -> EncodedFaces | None:
        """The oldest pending frame, averaged with those before and after it."""
        own, encoded = self._pending.popleft()
        neighbours = [*enumerate(reversed(self._before), 1), *enumerate((logits for logits, _ in self._pending), 1)]
        self._before.append(own)
        if encoded is None or self.delay == 0:
            return encoded
        averaged = []
        for track, total in own.items():
            total, weights = total.float(), 1.0
            for distance, logits in neighbours:
                if track in logits:
                    weight = self.strength**distance
                    total, weights = total + weight * logits[track], weights + weight
            averaged.append(total / weights)
        return encoded._replace(logits=torch.stack(averaged))
