"""Reports in plain words: which faces were kept, which skipped and why."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ..faces import Face, Harmed, Skipped

#: A report names this many faces of each kind; a video has thousands.
LINES = 20


def left_as_they_are(counts: Mapping[str, int]) -> list[str]:
    """Sentences on faces that a small network would make softer, by the reasons of `harm.harm_reasons`."""
    return [
        f"{count} {'face is' if count == 1 else 'faces are'} {why}: left as {'it is' if count == 1 else 'they are'}"
        for why, count in counts.items()
    ]


def summarize(kept: int, skipped: Sequence[Skipped]) -> str:
    """How many faces were detected and skipped, in a sentence or two."""
    found = kept + len(skipped)
    faces = {0: "No face found: the image stays as it is", 1: "1 face found"}.get(found, f"{found} faces found")
    if not skipped:
        return f"{faces}."
    harmed = Counter(entry.reason for entry in skipped if isinstance(entry, Harmed))
    others = [entry.reason for entry in skipped if not isinstance(entry, Harmed)]
    sentences = [faces, *left_as_they_are(harmed)]
    if others:
        sentences.append(f"Left alone: {len(others)} ({'; '.join(list(dict.fromkeys(others))[:3])})")
    return ". ".join(sentences) + "."


def report(kept: Sequence[Face], skipped: Sequence[Skipped], kept_lines: int = LINES, skipped_lines: int = LINES) -> str:
    """One line for each face, kept or skipped; of many faces the first ones of each kind; with 0 lines, only how many."""
    several = any(face.image_index for face in [*kept, *(skip.face for skip in skipped)])

    def line(face: Face, what: str) -> str:
        image = f"image {face.image_index + 1}, " if several else ""
        return f"  {image}{face.pixels:.0f} px at ({face.centre[0]:.0f}, {face.centre[1]:.0f}): {what}"

    def part(head: str, lines: list[str], most: int) -> list[str]:
        more = [f"  and {len(lines) - most} more"] if 0 < most < len(lines) else []
        return [f"{head}: {len(lines)}", *lines[:most], *more]

    if not kept and not skipped:
        return "No face found."
    worked = part("Worked on", [line(face, _measure(face)) for face in kept], kept_lines)
    alone = part("Left alone", [line(face, why) for face, why in skipped], skipped_lines) if skipped else []
    return "\n".join(worked + alone)


def _measure(face: Face) -> str:
    """What a kept face was chosen by: its distance from a person, where one is asked for, else the detector's confidence."""
    return f"confidence {face.score:.2f}" if face.distance is None else f"{face.distance:.2f} from the person asked for"
