"""Options of tracking and temporal smoothing."""

from dataclasses import dataclass

from .option import check_options, option


@dataclass(frozen=True)
class Steadiness:
    """Options of tracking and temporal smoothing. How the frames were grouped changes results by the rounding alone.

    The defaults were chosen on footage of 24 to 30 frames a second (docs/architecture.md has the measurements). The first four
    are SORT's and its kin's; `strength` is ours.

    Attributes:
        window: frames to each side over which landmarks and boxes are smoothed; symmetric, so that nothing lags. 0: not at all.
            A longer one trembles less, and cuts the corners of motion that turns within it.
        max_age: frames in a row in which a face may be missed, by the detector or behind something; they are filled when it is
            found again. 0: none.
        min_hits: detections that a face must have, unless its shot is shorter; with fewer it is taken for a false positive,
            such as a curl of hair in two frames, and dropped. 1: nothing is dropped.
        fade_frames: frames over which a mask fades in when a face appears within a shot, and out before it leaves, so that
            nothing pops; where a shot or the video begins or ends nothing fades. 0: at once.
        strength: 0 to 1, how much the codes of neighbouring frames count, see `video.code_averaging.LogitAverager`. 0: not at
            all.
    """

    window: int = 5
    max_age: int = 4
    min_hits: int = 3
    fade_frames: int = 4
    strength: float = option(
        0.8,
        "How much neighbouring frames decide together what a face looks like. Raise it when skin or eyes still flicker; lower "
        "it when quick expressions get lost. 0 only keeps the face in its place. Without effect when each frame is repaired by "
        "itself.",
        span=(0.0, 1.0, 0.05),
        label="temporal strength",
        flag="--temporal-strength",
    )

    def __post_init__(self) -> None:
        check_options(self)
        if min(self.window, self.max_age, self.min_hits - 1, self.fade_frames) < 0:  # strength: `check_options`
            raise ValueError(f"Found {self}. Expected no negative number, at least one hit, and a strength from 0 to 1.")


#: Every frame by itself, as if it were a still image.
OFF = Steadiness(window=0, max_age=0, min_hits=1, fade_frames=0, strength=0.0)
