"""Faces in consecutive frames: the steps of `pipeline`, frame after frame, with every face followed over time."""

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from . import memory
from .align import align
from .faces import AlignedFaces, Detector, Skipped
from .masks import mask_style
from .paste import paste
from .pipeline import Fixed, enlarge
from .progress import Tick, no_tick
from .recipe import Recipe
from .sights import F, Sight, SteadyRestorer, cut_out, followed, restored, steadied


class FixedFrame(NamedTuple, Generic[F]):
    """What became of one frame.

    Attributes:
        frame: the frame that came in.
        image: (1, 3, H', W') RGB in [0, 1]; None when the frame stays as it was, in size too.
        mask: (1, 1, H', W') in [0, 1], where a face was pasted; None when none was.
        aligned: the faces that were restored; None without any.
        tracks: which face of the sequence each of them is.
        skipped: the faces that were found in this frame and left alone, and why.
    """

    frame: F
    image: Tensor | None
    mask: Tensor | None
    aligned: AlignedFaces | None
    tracks: tuple[int, ...]
    skipped: list[Skipped]


def fix_stream(
    frames: Iterable[F],
    detector: Detector,
    restorer: SteadyRestorer,
    recipe: Recipe = Recipe(),
    device: torch.device | str = "cpu",
) -> Iterator[FixedFrame[F]]:
    """Restore the faces of consecutive frames; `fix_faces` for pictures that follow one another in time.

    With `steadiness` off every frame is treated as `fix_faces` treats a picture.

    Args:
        frames: taken one after the other, never held as a whole.
        device: where frames are worked on.

    Yields:
        Every frame, in order. The first comes once the frames that are needed to follow and smooth its faces were seen.
    """
    if recipe.chunk < 1:
        raise ValueError(f"Found {recipe.chunk} frames at once. Expected 1 or more.")
    if recipe.area is not None and len(recipe.area) != 1:
        raise ValueError(f"Found {len(recipe.area)} masks for the faces of a sequence. Expected one, which serves every frame.")
    mask_style(recipe.mask, recipe.parser)  # a wrong choice raises before the work, not after it
    aligned = cut_out(followed(frames, detector, recipe, device), restorer.side, device)
    done = steadied(aligned, restorer, recipe) if recipe.steadiness.codes else restored(aligned, restorer, recipe)
    for sight in done:
        yield _pasted(sight, recipe, device)


def fix_frames(
    images: Tensor,
    detector: Detector,
    restorer: SteadyRestorer,
    recipe: Recipe = Recipe(),
    tick: Tick = no_tick,
) -> Fixed:
    """`fix_stream` for frames (B, 3, H, W) RGB in [0, 1] that are in memory already; `tick` counts frames."""
    stills = [_Still(images[index : index + 1]) for index in range(len(images))]
    result, changed, parts, skipped = None, None, [], []
    tick(0, len(stills))
    for index, done in enumerate(fix_stream(stills, detector, restorer, recipe, images.device)):
        image = done.frame.picture if done.image is None else done.image
        if result is None or changed is None:
            result = memory.empty(image, len(stills), *image.shape[1:])
            changed = memory.zeros(image, len(stills), 1, *image.shape[-2:])
        result[index] = image[0]
        if done.mask is not None:
            changed[index] = done.mask[0]
        parts.append(done.aligned)
        skipped += [Skipped(face._replace(image_index=index), why) for face, why in done.skipped]
        tick(index + 1, len(stills))
    if result is None or changed is None:
        raise ValueError("Found no frame. Expected at least one.")
    nobody = align(images[:1], (), restorer.side)
    aligned = AlignedFaces.joined([nobody if part is None else part for part in parts])
    return Fixed(result, changed, aligned, skipped)


class _Still(NamedTuple):
    picture: Tensor

    def image(self, device: torch.device | str = "cpu") -> Tensor:
        return self.picture.to(device)


def _pasted(sight: Sight[F], recipe: Recipe, device: torch.device | str) -> FixedFrame[F]:
    """A frame with its faces pasted back, enlarged if that was asked for."""
    image, mask = None, None
    if sight.aligned or recipe.enlarged or recipe.upscale != 1:
        picture = sight.frame.image(device)
        image = recipe.enlarged(picture) if recipe.enlarged else enlarge(picture, recipe.upscale)
    aligned = recipe.limited(sight.aligned) if recipe.limited and sight.aligned else sight.aligned
    if aligned and image is not None:
        image, mask = paste(image, aligned, recipe.mask, recipe.parser, recipe.keep_detail)
    tracks = tuple(tracked.track for tracked in sight.tracked)
    return FixedFrame(sight.frame, image, mask, aligned, tracks, sight.skipped)
