"""One decision for a whole shot whether it is black and white, so that no face flickers between grey and colour."""

from dataclasses import replace

from ..faces import AlignedFaces

#: Frames in succession that must pass other tests before the decision changes: a second of film, as where a film in black and
#: white follows a title in colour.
PATIENCE = 25


class ClipGrey:
    """The tests (`imaging.grey.Grey`) that a shot passes: those of its first frame with faces, see `PATIENCE`."""

    def __init__(self) -> None:
        self._decided: int | None = None
        self._against = 0

    def push(self, aligned: AlignedFaces) -> AlignedFaces:
        """The faces of the next frame, at least one, with the shot's decision in the place of the frame's own."""
        passed = aligned.grey[0]
        self._against = 0 if passed == self._decided else self._against + 1
        if self._decided is None or self._against >= PATIENCE:
            self._decided, self._against = passed, 0
        return replace(aligned, grey=(self._decided,) * len(aligned))
