"""The order of the steps: detect, choose, align, restore, paste. The first file to read."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .align import align, cut, is_grey, resize_map, template
from .colour import GREY, greyed, matched, over_luminance
from .faces import AlignedFaces, DetectionOptions, Detector, Face, Skipped
from .limits import occlude
from .masks import Parser, mask_style
from .paste import paste
from .selection import CHOICES, Selection, select
from .sharpness import sharpness

#: tick(done, total) faces: called before the first batch, after every batch, and free to raise in order to stop.
Tick = Callable[[int, int], None]


class Restorer(Protocol):
    """What restores crops. `side` is the side of the crops in pixels."""

    side: int

    def restore(self, crops: Tensor, fidelity: float | Tensor, match_style: bool) -> Tensor:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> restored crops (N, 3, S, S) in [0, 1]."""
        ...


class Colorizer(Protocol):
    """What gives colours to crops."""

    side: int

    def colorize(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> with colours (N, 3, S, S) in [0, 1]."""
        ...


class Inpainter(Protocol):
    """What fills holes in crops."""

    side: int

    def inpaint(self, crops: Tensor, holes: Tensor) -> Tensor:
        """Crops (N, 3, S, S) and holes (N, 1, S, S), in [0, 1] -> filled (N, 3, S, S), equal to the crops where holes are 0."""
        ...


class Fixed(NamedTuple):
    """What `fix_faces` gives.

    Attributes:
        images: (B, 3, H', W') RGB in [0, 1].
        mask: (B, 1, H', W') in [0, 1], where they were changed.
        aligned: the faces that were restored.
        skipped: the faces that were found and left alone, and why.
    """

    images: Tensor
    mask: Tensor
    aligned: AlignedFaces
    skipped: list[Skipped]


def no_tick(done: int, total: int) -> None:
    """Progress that nobody watches."""


def detect(
    images: Tensor,
    detector: Detector,
    options: DetectionOptions = DetectionOptions(),
    selection: Selection = CHOICES["all"],
    area: Tensor | None = None,
) -> tuple[list[Face], list[Skipped]]:
    """The faces of images (B, 3, H, W) RGB in [0, 1] that are worked on, and those that are not and why.

    Args:
        selection: which of the faces that are found.
        area: (1 or B, 1, h, w) in [0, 1], stretched over the images: only faces inside, see `Selection.inside`.
    """
    height, width = images.shape[-2:]
    faces = detector.detect(images, options)
    wide = replace(selection, eye_distance=max(selection.eye_distance, options.eye_distance))
    measured = sharpness(images, faces) if selection.sharpness else None
    return select(faces, (height, width), wide, mask=area, sharpness=measured)


def restore(
    aligned: AlignedFaces,
    restorer: Restorer,
    fidelity: float | Tensor = 0.5,
    *,
    match_style: bool = True,
    grey: str = "auto",
    batch: int = 1,
    tick: Tick = no_tick,
) -> AlignedFaces:
    """The faces with restored crops; steps can follow one another, each takes the crops that the one before made.

    Crops of another side than the restorer's are resized for it; its results are pasted at their own size.

    Args:
        fidelity: 0 trusts the network, 1 the input; a number, one per face (N,), or maps (N, 1, h, w) over the faces.
        match_style: keep the colour and contrast of the degraded face's features.
        grey: whether a crop becomes grey with the statistics of the original: "auto" (when its picture is grey), "on", "off".
        batch: faces per call.
        tick: progress, see `Tick`.

    Raises:
        ValueError: an unknown choice, or a fidelity of the wrong shape.
        RuntimeError: the network gave something that is no picture; nothing is pasted.
    """
    if grey not in GREY:
        raise ValueError(f"{grey!r} is no choice for grey. Use one of: {', '.join(GREY)}.")
    each = isinstance(fidelity, Tensor) and fidelity.ndim > 0 and fidelity.shape[0] > 1

    def restored(part: slice) -> Tensor:
        weight = fidelity[part] if each and isinstance(fidelity, Tensor) else fidelity
        return restorer.restore(sized(aligned.crops[part], restorer.side), weight, match_style)

    crops = _in_batches(restored, aligned, batch, tick)
    return aligned.with_crops(greyed(crops, aligned.originals, aligned.grey, grey))


def colorize(
    aligned: AlignedFaces, restorer: Colorizer, *, keep_luminance: bool = False, batch: int = 1, tick: Tick = no_tick
) -> AlignedFaces:
    """The faces with colours.

    Args:
        keep_luminance: only the hues are new, the light stays the picture's; paste with `keep_detail` to keep it exactly.
        batch, tick: see `restore`.
    """
    crops = _in_batches(lambda part: restorer.colorize(sized(aligned.crops[part], restorer.side)), aligned, batch, tick)
    if keep_luminance:
        crops = over_luminance(crops, sized(aligned.originals, crops.shape[-1]))
    return replace(aligned.with_crops(crops), grey=(False,) * len(aligned))  # a step that follows keeps the colours


def inpaint(
    aligned: AlignedFaces, restorer: Inpainter, holes: Tensor, *, batch: int = 1, tick: Tick = no_tick
) -> AlignedFaces:
    """The faces that holes touch, filled there, to be pasted there only; the other faces are left out.

    Args:
        holes: (1 or B, 1, h, w) in [0, 1] over the images, of any size; what is above one half is unknown, and a ramp below it
            is where the filling fades into what is known.
        batch, tick: see `restore`.
    """
    in_crops = cut(holes, aligned)
    touched = [index for index, most in enumerate(in_crops.flatten(1).amax(1).tolist()) if most > 0.5]
    chosen, in_crops = aligned.subset(touched), sized(in_crops[touched], restorer.side)
    known = sized(chosen.crops, restorer.side)
    crops = _in_batches(lambda part: restorer.inpaint(known[part], in_crops[part]), chosen, batch, tick)
    return occlude(chosen.with_crops(crops), holes, inside=True)


def sized(crops: Tensor, height: int, width: int | None = None) -> Tensor:
    """Crops or masks (N, C, h, w) at another size, square unless a width is given; the same ones when they have it."""
    size = (height, height if width is None else width)
    if crops.shape[-2:] == size:
        return crops
    return F.interpolate(crops, size=size, mode="bilinear", antialias=crops.shape[-2] > size[0] or crops.shape[-1] > size[1])


def _in_batches(call: Callable[[slice], Tensor], aligned: AlignedFaces, batch: int, tick: Tick) -> Tensor:
    """`call` for every part of the faces, (N, 3, S, S); raises when the network gives something that is no picture."""
    total = len(aligned)
    tick(0, total)
    parts = []
    for start in range(0, total, batch):
        parts.append(call(slice(start, start + batch)))
        tick(min(start + batch, total), total)
    if not parts:
        return aligned.crops
    crops = torch.cat(parts)
    broken = [index for index, good in enumerate(crops.isfinite().flatten(1).all(1).tolist()) if not good]
    if broken:
        raise RuntimeError(
            f"The network gave no picture for face {', '.join(str(i + 1) for i in broken)} (values that are not finite), so "
            "nothing was pasted. Look for pixels that are not finite in the picture, or use another precision or device."
        )
    return crops


def fix_faces(
    images: Tensor,
    detector: Detector,
    restorer: Restorer,
    *,
    fidelity: float | Tensor = 0.5,
    options: DetectionOptions = DetectionOptions(),
    selection: Selection = CHOICES["all"],
    area: Tensor | None = None,
    match_style: bool = True,
    grey: str = "auto",
    colour: str = "as restored",
    mask: str = "square",
    parser: Parser | None = None,
    upscale: float = 1.0,
    background: Tensor | None = None,
    upscale_faces: Callable[[Tensor], Tensor] | None = None,
    keep_detail: bool = False,
    batch: int = 1,
    tick: Tick = no_tick,
) -> Fixed:
    """Find the faces of images, restore them and paste them back.

    Args:
        images: (B, 3, H, W) RGB in [0, 1]; not modified.
        fidelity, match_style, grey, batch, tick: see `restore`.
        colour: a row of `colour.COLOURS`: how the restored crops follow the colours of the originals.
        upscale: how many times larger the result is; the background is resized (bilinear, as in the reference).
        background: (B, 3, H', W') the images already enlarged in another way, which `upscale` then does not do.
        upscale_faces: enlarges restored crops (N, 3, S, S), so that faces stay sharp in an enlarged picture.
        options, selection, area, mask, parser, keep_detail: see `on_faces`.

    Returns:
        See `Fixed`. Pixels outside the mask are those of `images` (resized); without a face the images come back as they are.
    """

    def step(aligned: AlignedFaces) -> AlignedFaces:
        done = restore(aligned, restorer, fidelity, match_style=match_style, grey=grey, batch=batch, tick=tick)
        done = done.with_crops(matched(done.crops, done.originals, colour))
        return done.with_crops(upscale_faces(done.crops)) if upscale_faces and len(done) else done

    return on_faces(
        images,
        detector,
        restorer.side,
        step,
        options=options,
        selection=selection,
        area=area,
        mask=mask,
        parser=parser,
        background=enlarge(images, upscale) if background is None else background,
        keep_detail=keep_detail,
    )


def on_faces(
    images: Tensor,
    detector: Detector,
    side: int,
    step: Callable[[AlignedFaces], AlignedFaces],
    *,
    options: DetectionOptions = DetectionOptions(),
    selection: Selection = CHOICES["all"],
    area: Tensor | None = None,
    mask: str = "square",
    parser: Parser | None = None,
    background: Tensor | None = None,
    keep_detail: bool = False,
) -> Fixed:
    """Do something with the faces of whole images: `step` takes them aligned and gives them changed (or fewer).

    Args:
        images: (B, 3, H, W) RGB in [0, 1]; not modified.
        side: S, the side of the crops.
        step: such as `restore`, `colorize` or `inpaint` with the rest of their arguments.
        options, selection, area: see `detect`.
        mask, parser, keep_detail: see `paste.paste`.
        background: what is pasted into, when it is not the images themselves.
    """
    mask_style(mask, parser)  # a wrong choice raises before the work, not after it
    faces, skipped = detect(images, detector, options, selection, area)
    aligned = step(align(images, faces, side))
    pasted, changed = paste(images if background is None else background, aligned, mask, parser, keep_detail)
    return Fixed(pasted, changed, aligned, skipped)


def enlarge(images: Tensor, upscale: float) -> Tensor:
    """Images (B, C, H, W) resized to (B, C, H * upscale, W * upscale), sizes rounded down; the same ones at 1."""
    if upscale <= 0:
        raise ValueError(f"Found an upscale of {upscale}. Expected a number above 0: 1 keeps the size, 2 doubles it.")
    height, width = int(images.shape[-2] * upscale), int(images.shape[-1] * upscale)
    if (height, width) == tuple(images.shape[-2:]):
        return images
    return F.interpolate(images, size=(max(1, height), max(1, width)), mode="bilinear", antialias=upscale < 1)


def on_aligned(images: Tensor, side: int, step: Callable[[AlignedFaces], AlignedFaces]) -> Fixed:
    """Do something with pictures that are aligned faces already: as `on_faces`, without finding and pasting.

    Args:
        images: (B, 3, H, W) RGB in [0, 1], each one face in the FFHQ pose, of any size; not modified.
        side, step: see `on_faces`.

    Returns:
        See `Fixed`. The images have the size of the crops that `step` gives; but when it keeps them to an area of the picture,
        as `inpaint` and `limits.occlude` do, they have their own size, and what is outside the area is bit-identical.
    """
    height, width = images.shape[-2:]
    crops = sized(images, side)
    aligned = step(
        AlignedFaces(
            faces=tuple(_whole_picture(index, height, width) for index in range(len(images))),
            originals=crops,
            crops=crops,
            affines=resize_map(side / width, side / height).repeat(len(images), 1, 1),
            masks=crops.new_ones(len(images), 1, side, side),
            grey=is_grey(images),
            image_size=(height, width),
        )
    )
    size = aligned.crops.shape[-2:] if aligned.within is None else images.shape[-2:]
    result = sized(images, *size).clone()
    changed = result.new_zeros(len(images), 1, *size)
    for row, face in enumerate(aligned.faces):
        weight = sized(aligned.masks[row : row + 1], *size)[0]
        if aligned.within is not None:
            weight = weight * aligned.within[face.image_index if len(aligned.within) > 1 else 0]
        image = result[face.image_index]
        mixed = torch.lerp(image, sized(aligned.crops[row : row + 1], *size)[0], weight)
        image.copy_(torch.where(weight > 0, mixed, image))
        changed[face.image_index] = weight
    return Fixed(result, changed, aligned, [])


def _whole_picture(index: int, height: int, width: int) -> Face:
    landmarks = tuple((x * width / height, y) for x, y in template(height).tolist())
    return Face(index, (0.0, 0.0, float(width), float(height)), landmarks, 1.0)


def fix_aligned(
    images: Tensor,
    restorer: Restorer,
    *,
    fidelity: float | Tensor = 0.5,
    match_style: bool = True,
    grey: str = "auto",
    batch: int = 1,
    tick: Tick = no_tick,
) -> Tensor:
    """Restore pictures (B, 3, H, W) that are aligned faces already: (B, 3, S, S), S being the restorer's side."""

    def step(aligned: AlignedFaces) -> AlignedFaces:
        return restore(aligned, restorer, fidelity, match_style=match_style, grey=grey, batch=batch, tick=tick)

    return on_aligned(images, restorer.side, step).images
