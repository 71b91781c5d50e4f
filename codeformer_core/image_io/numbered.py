"""Numbered frames: files such as frames/0001.png, frames/0002.png, named as FFmpeg's image2 names them: frames/%04d.png."""

import re
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

#: How the names of frames end.
ENDS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")

#: Frames per second where nobody says otherwise, as in FFmpeg.
RATE = 25.0

_FIELD = re.compile(r"%%|%(?:0(\d+))?d")


def is_pattern(path: Path) -> bool:
    """Whether a path stands for numbered frames: it has one %d or %05d in the name, and is no file itself."""
    fields = [match for match in _FIELD.finditer(path.name) if match[0] != "%%"]
    return len(fields) == 1 and path.suffix.lower() in ENDS and not path.exists()


def frame_path(pattern: Path, number: int) -> Path:
    """The file of a frame."""
    return pattern.with_name(_FIELD.sub(lambda match: "%" if match[0] == "%%" else f"{number:0{match[1] or 1}d}", pattern.name))


class NumberedFrames(NamedTuple):
    """A source of video: consecutive frames in files.

    Attributes:
        pattern: as frames/%04d.png.
        first: the number of the first.
        rate: frames per second.
    """

    pattern: Path
    first: int
    rate: Fraction

    @property
    def url(self) -> str:
        """The pattern for FFmpeg, with an absolute path, in which nothing but the number is a field."""
        pattern = self.pattern.absolute()
        return str(pattern.parent / "_").replace("%", "%%")[:-1] + pattern.name


def numbered_frames(pattern: Path, rate: Fraction = Fraction(RATE)) -> NumberedFrames:
    """The frames of a pattern.

    Raises:
        OSError: its folder cannot be read.
        ValueError: there are fewer than two, or one is missing.
    """
    fixed, last = [], 0
    for match in _FIELD.finditer(pattern.name):
        fixed += [re.escape(pattern.name[last : match.start()]), "%" if match[0] == "%%" else r"(\d+)"]
        last = match.end()
    name = re.compile("".join([*fixed, re.escape(pattern.name[last:])]))
    found = (name.fullmatch(path.name) for path in pattern.parent.iterdir())
    numbers = sorted(int(match[1]) for match in found if match and match[0] == frame_path(pattern, int(match[1])).name)
    if len(numbers) < 2:
        raise ValueError(
            f"{pattern} stands for {len(numbers)} files. Expected two frames or more, such as {frame_path(pattern, 1)}."
        )
    missing = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
    if missing:
        raise ValueError(
            f"{pattern.parent} has the frames {numbers[0]} to {numbers[-1]}, but not {frame_path(pattern, missing[0]).name}"
            f"{f' and {len(missing) - 1} more' if missing[1:] else ''}. Number them without a gap, or make the missing ones."
        )
    return NumberedFrames(pattern, numbers[0], rate)


def pattern_in(folder: Path) -> Path | None:
    """The pattern of the numbered frames in a folder; None where it has other images, several series, or no two frames."""
    names = [path.name for path in folder.iterdir() if path.suffix.lower() in ENDS and not path.name.startswith(".")]
    parts = [re.fullmatch(r"(.*?)(\d+)(\.\w+)", name) for name in names]
    series = {(part[1], part[3]) for part in parts if part}
    if len(series) != 1 or None in parts or len(names) < 2:
        return None
    (before, after), digits = series.pop(), [part[2] for part in parts if part]
    width = next((len(one) for one in digits if one.startswith("0") and len(one) > 1), 0)
    field = f"%0{width}d" if width else "%d"
    pattern = folder / f"{before.replace('%', '%%')}{field}{after}"
    return pattern if {frame_path(pattern, int(one)).name for one in digits} == set(names) else None
