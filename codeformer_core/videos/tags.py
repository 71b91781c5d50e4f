"""Words that travel with a video: title, place, ComfyUI's workflow, chapters."""

from fractions import Fraction
from typing import Any

import av.container

from .windows import Window

# What a muxer writes itself, or what is no longer true of the new file.
_STRUCTURE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate", "alpha_mode"}
_COUNTED = ("bps", "number_of_", "_statistics_")  # of mkvmerge


def kept(metadata: dict[str, str]) -> dict[str, str]:
    """The tags of a file or stream that are true of the new one as well."""
    return {
        key: value for key, value in metadata.items() if key.lower() not in _STRUCTURE and not key.lower().startswith(_COUNTED)
    }


def copy_tags(source: av.container.InputContainer, output: av.container.OutputContainer, window: Window) -> None:
    """Give a new file, whose header is not written yet, the tags and the chapters of the source's window."""
    output.metadata.update(kept(source.metadata))
    chapters: list[Any] = []  # PyAV's type for them is only in its stubs
    for chapter in source.chapters():
        unit = Fraction(chapter["time_base"] or Fraction(1, 1000))
        shift = round(window.origin / unit)
        end = None if window.seconds is None else round(window.seconds / unit)
        first = max(0, chapter["start"] - shift)
        last = chapter["end"] - shift if end is None else min(end, chapter["end"] - shift)
        if last > first:
            chapters.append({**chapter, "start": first, "end": last})
    if chapters:
        output.set_chapters(chapters)
