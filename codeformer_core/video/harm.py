"""Do no harm in videos: `selection.harm` frame by frame, smoothed along each track, so that no face pops in or out."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

#: How much of the weight of a track is new with each frame: four fifths of a change are there after seven frames.
RATE = 0.2

#: A weight closer than this to 0 or 1 is 0 or 1.
NEAR = 0.02


class HarmFilter:
    """The weight with which the restored face of each track is pasted: an exponential moving average over its frames."""

    def __init__(self, weights: Mapping[int, float] = MappingProxyType({})) -> None:
        """`weights`: of the tracks so far, as `weights` had them; for a film that is worked on in parts."""
        self.weights = dict(weights)

    def push(self, tracks: Sequence[int], reasons: Sequence[str | None]) -> list[float]:
        """Of each face of the next frame the weight in [0, 1], by its track and the reason to leave it alone, if any."""
        weights = []
        for track, reason in zip(tracks, reasons, strict=True):
            wanted = 0.0 if reason else 1.0
            weight = self.weights.get(track, wanted)
            self.weights[track] = weight = weight + RATE * (wanted - weight)
            weights.append(float(round(weight)) if min(weight, 1 - weight) < NEAR else weight)
        return weights
