"""Likeness (identity preservation): how far a restored face is from the person, and the lowest fidelity that keeps it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..faces import AlignedFaces, Likeness, Skipped
from ..imaging.colour import keep_grey
from ..imaging.resize import resize
from ..options import FixOptions
from ..restoration import Restorer, restore
from ..runtime.finite import check_finite
from ..runtime.progress import Tick, no_tick
from . import People, distances

#: Halvings of the range of fidelities: the result is at most an eighth of it above the lowest that will do.
HALVINGS = 3

#: Lines of a summary.
LINES = 20


def restore_measured(
    aligned: AlignedFaces,
    restorer: Restorer,
    fidelity: float | Tensor,
    options: FixOptions,
    people: People | None,
    *,
    batch: int = 1,
    tick: Tick = no_tick,
    check: bool = True,
) -> AlignedFaces:
    """`restoration.restore` with `AlignedFaces.likeness`, as `FixOptions.likeness` asks for it.

    Args:
        options: its `match_style`, `grey` and `likeness`; `selection.distance` is the largest of the same person.
        people: tells people apart; with `references` the faces are compared with these, else with themselves before.
        fidelity, batch, tick, check: see `restoration.restore`.

    Raises:
        ValueError: nothing tells people apart; and see `restoration.restore`.
    """
    if options.likeness != "off" and people is None:
        raise ValueError("The likeness is asked for, and nothing tells people apart: give a recogniser in Extras.people.")
    if options.likeness == "keep" and people is not None and len(aligned):
        least = torch.as_tensor(fidelity, dtype=torch.float32)
        if least.ndim < 2:
            least = least.reshape(-1, 1, 1, 1)
        least, alike = least.expand(len(aligned), -1, -1, -1), []
        for row in range(len(aligned)):  # one by one, since each needs its own fidelities
            tick(row, len(aligned))
            alike.append(_alike(aligned.subset([row]), restorer, least[row : row + 1], people, options))
        tick(len(aligned), len(aligned))
        return replace(aligned, crops=torch.cat([crop for crop, _ in alike]), likeness=tuple(one for _, one in alike))
    how = {"match_style": options.match_style, "grey": options.grey, "check": check}
    restored = restore(aligned, restorer, fidelity, batch=batch, tick=tick, **how)
    if options.likeness == "off" or people is None or not len(aligned):
        return restored
    return replace(restored, likeness=tuple(map(Likeness, measure_likeness(restored.crops, aligned.originals, people))))


def measure_likeness(crops: Tensor, originals: Tensor, people: People) -> list[float]:
    """How far each of N restored faces (N, 3, S, S) is from the person: from `people.references`, else from its original.

    Args:
        originals: (N, 3, S', S'), or (1, 3, S', S') for several versions of one face.
    """
    described = people.recogniser.describe(crops)
    if people.references is not None:
        return distances(described, people.references)
    return (described - people.recogniser.describe(originals)).norm(dim=1).tolist()


def _alike(
    face: AlignedFaces, restorer: Restorer, least: Tensor, people: People, options: FixOptions
) -> tuple[Tensor, Likeness]:
    """One face at the fidelity that was chosen, or the lowest above it, by bisection, that keeps the person.

    It takes one encoding, and one to five decodings. Where even 1 does not do, the face is the one of 1.
    """
    decode, limit = _decoder(face, restorer, options.match_style), options.selection.distance
    if people.references is None:
        people = replace(people, references=people.recogniser.describe(face.originals))

    def at(share: float) -> tuple[Tensor, Likeness]:
        weight = least + (1 - least) * share
        crop = check_finite(decode(weight).to(face.crops), restorer, face.crops, "face")
        crop = keep_grey(crop, face.originals, face.grey, options.grey)
        return crop, Likeness(measure_likeness(crop, face.originals, people)[0], float(weight.mean()))

    best, low, high = at(0.0), 0.0, 1.0
    if best[1].distance <= limit:
        return best
    best = at(1.0)
    for _ in range(HALVINGS if best[1].distance <= limit else 0):
        middle = (low + high) / 2
        tried = at(middle)
        if tried[1].distance <= limit:
            best, high = tried, middle
        else:
            low = middle
    return best


def _decoder(face: AlignedFaces, restorer: Any, match_style: bool) -> Callable[[Tensor], Tensor]:
    """What restores one face at a fidelity; it is encoded once where the network can do that."""
    crop = resize(face.crops, restorer.side)

    def plain(weight: Tensor) -> float | Tensor:
        return float(weight) if weight.numel() == 1 else weight

    if not hasattr(restorer, "encode_faces"):
        return lambda weight: restorer.restore(crop, plain(weight), match_style)
    encoded = restorer.encode_faces(crop, 1.0)
    return lambda weight: restorer.decode_faces(encoded, plain(weight), match_style)


def without_strangers(aligned: AlignedFaces, options: FixOptions) -> tuple[AlignedFaces, list[Skipped]]:
    """The faces to paste, and those that at no fidelity are the same person, where the likeness is to be kept."""
    limit = options.selection.distance
    if options.likeness != "keep" or all(one.distance <= limit for one in aligned.likeness):
        return aligned, []
    kept = [row for row, one in enumerate(aligned.likeness) if one.distance <= limit]
    lost = [
        Skipped(face, f"another person at every fidelity: {one.distance:.2f} from the one in the image, more than {limit:g}")
        for face, one in zip(aligned.faces, aligned.likeness, strict=True)
        if one.distance > limit
    ]
    return aligned.subset(kept), lost


def describe_likeness(likeness: Likeness) -> str:
    """How far a face is from the person, and the fidelity that was found for it, in words."""
    found = "" if likeness.fidelity is None else f" at a fidelity of {likeness.fidelity:.2f}"
    return f"{likeness.distance:.2f} from the person{found}"


def summarize_likeness(aligned: AlignedFaces, lost: Sequence[Skipped] = ()) -> str:
    """A line for each restored face, and for each that was left alone; of many faces the first ones."""
    faces = [f"Face {number}: {describe_likeness(one)}" for number, one in enumerate(aligned.likeness, 1)]
    return "\n".join([*faces[:LINES], *(f"Left alone: {why}" for _, why in lost[:LINES])])
