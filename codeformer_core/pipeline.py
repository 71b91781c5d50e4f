"""Fix the faces of whole images: detect, select, align, restore, limit, paste. The first file to read."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .align import align, wrap_aligned_images
from .detection.tiled_rotated import wrap_detector
from .extras import Extras
from .faces import AlignedFaces, Detector, Face, Skipped, require_images
from .fidelity import fidelity_maps, fidelity_per_face
from .imaging.colour import match_colours
from .imaging.detail import with_detail
from .imaging.grain import lacking_grain, with_grain
from .imaging.resize import rescale, resize
from .imaging.tiling import upscale_images
from .masks.limits import exclude, restrict_to_parts, with_opacity
from .masks.occlusion import exclude_occluded
from .masks.parsing import Parser
from .masks.styles import get_mask_style
from .options import FixOptions
from .paste import keeps_detail, paste
from .recognition import People
from .recognition.likeness import restore_measured, without_strangers
from .restoration import Restorer
from .runtime.batching import automatic_batch
from .runtime.progress import Progress, no_progress
from .selection.harm import can_harm, paste_measured, without_harmed
from .selection.select import select
from .selection.sharpness import measure_sharpness

#: A step maps aligned faces to changed ones, possibly fewer: restored, colorized, inpainted.
Step = Callable[[AlignedFaces], AlignedFaces]


class Fixed(NamedTuple):
    """The result of `fix_faces`.

    Attributes:
        images: (B, 3, H', W') RGB in [0, 1].
        mask: (B, 1, H', W') in [0, 1], the paste mask: 0 where the images are unchanged.
        aligned: the faces that were restored.
        skipped: the detected faces that were left alone, and why.
        found: every detected face, in the order of the detection; empty for images that are aligned faces.
    """

    images: Tensor
    mask: Tensor
    aligned: AlignedFaces
    skipped: list[Skipped]
    found: tuple[Face, ...] = ()


def detect(
    images: Tensor, detector: Detector, options: FixOptions = FixOptions(), inside: Tensor | None = None
) -> tuple[list[Face], list[Skipped]]:
    """Detect and select the faces of images (B, 3, H, W) RGB in [0, 1]; also the skipped faces with their reasons.

    Args:
        options: its `detection` and `selection`.
        inside: see `Extras`.
    """
    return select_faces(images, detect_all(images, detector, options), options, inside)


def detect_all(images: Tensor, detector: Detector, options: FixOptions, people: People | None = None) -> list[Face]:
    """Every face of images (B, 3, H, W) before the selection; turned ones and tiles as asked, measured by `Extras.people`."""
    require_images(images)
    found = wrap_detector(detector, options.detection).detect(images, options.detection)
    return found if people is None else people.measured(images, found)


def select_faces(
    images: Tensor, faces: list[Face], options: FixOptions = FixOptions(), inside: Tensor | None = None
) -> tuple[list[Face], list[Skipped]]:
    """`detect` for faces that are known already; of its detection options only the smallest eye distance counts."""
    height, width = images.shape[-2:]
    measured = measure_sharpness(images, faces) if options.selection.sharpness else None
    return select(faces, (height, width), options.asked_selection(), mask=inside, sharpness=measured)


def fix_faces(
    images: Tensor,
    detector: Detector,
    restorer: Restorer,
    options: FixOptions = FixOptions(),
    extras: Extras = Extras(),
    progress: Progress = no_progress,
) -> Fixed:
    """Detect the faces of images, restore them and paste them back.

    Args:
        images: (B, 3, H, W) RGB in [0, 1]; not modified.
        progress: in units of "face", and of "tile" where an upscaler runs.

    Returns:
        See `Fixed`. Pixels outside the mask are those of `images` (resized); without a face the images are returned unchanged.
    """
    require_images(images)
    extras.check_images(images)
    # Without an upscaler after it, `paste_unharmed` sees whether the network's faces are finite.
    step = _restoration_step(restorer, options, extras, progress, check=extras.face_upscaler is not None)
    background = upscale_background(images, options, extras, progress)
    return apply_to_faces(images, detector, restorer.side, step, options, extras, background)


def fix_aligned(
    images: Tensor,
    restorer: Restorer,
    options: FixOptions = FixOptions(),
    extras: Extras = Extras(),
    progress: Progress = no_progress,
) -> Fixed:
    """Restore images that are already aligned faces; the result has at least the restorer's side and the images' own.

    Args:
        images: see `apply_to_aligned`.
        extras, progress: see `fix_faces`.
    """
    fixed = apply_to_aligned(images, restorer.side, _restoration_step(restorer, options, extras, progress), options, extras)
    before = resize(images, *fixed.images.shape[-2:])
    aligned, harmed = without_harmed(images, before, fixed.images, fixed.aligned, options.always)
    for index in [face.image_index for face, _ in harmed]:
        fixed.images[index], fixed.mask[index] = before[index], 0
    return fixed._replace(aligned=aligned, skipped=fixed.skipped + harmed)


def _restoration_step(
    restorer: Restorer, options: FixOptions, extras: Extras, progress: Progress, *, check: bool = True
) -> Step:
    """Restores crops at the fidelity of the options and the fidelity mask, and postprocesses them; `check`: see `restore`."""

    def step(aligned: AlignedFaces) -> AlignedFaces:
        chosen = options.fidelity if isinstance(options.fidelity, tuple) else (options.fidelity,)
        fidelity = fidelity_per_face(chosen, 0.5, len(aligned))
        if extras.fidelity_mask is not None and len(aligned):
            fidelity = fidelity_maps(aligned, fidelity, extras.fidelity_mask, inside=1.0)
        batch, tick = batch_size(options, restorer), progress("face")
        how = {"batch": batch, "tick": tick, "check": check}
        restored = restore_measured(aligned, restorer, fidelity, options, extras.people, **how)
        return postprocess_crops(restored, options, extras, progress)

    return step


def batch_size(options: FixOptions, restorer: Restorer) -> int:
    """Faces per call: as chosen, else what the restorer says that suits its device, else 1."""
    return options.batch or automatic_batch(restorer)


def postprocess_crops(
    aligned: AlignedFaces, options: FixOptions, extras: Extras, progress: Progress = no_progress
) -> AlignedFaces:
    """Match the colours of restored crops to the originals, and upscale them if there is a face upscaler."""
    done = aligned.with_crops(match_colours(aligned.crops, aligned.originals, options.colour))
    if extras.face_upscaler is None or not len(done):
        return done
    tick = progress("tile")
    return done.with_crops(upscale_images(done.crops, extras.face_upscaler, options.upscale, options.tile, tick=tick))


def upscale_background(images: Tensor, options: FixOptions, extras: Extras, progress: Progress = no_progress) -> Tensor:
    """Upscale the images (B, 3, H, W) to paste into: by the upscaler, or without one as `rescale` does."""
    if extras.upscaler is None:
        return rescale(images, options.upscale, options.sampling)
    return upscale_images(images, extras.upscaler, options.upscale, options.tile, tick=progress("tile"))


def apply_to_faces(
    images: Tensor,
    detector: Detector,
    side: int,
    step: Step,
    options: FixOptions = FixOptions(),
    extras: Extras = Extras(),
    background: Tensor | None = None,
) -> Fixed:
    """Detect and align the faces of images, apply a step to them and paste them back.

    Args:
        images: (B, 3, H, W) RGB in [0, 1]; not modified.
        side: S, the side of the crops.
        step: such as `restore`, `colorize` or `inpaint` with their other arguments bound.
        background: the images to paste into, where they differ from `images`.
    """
    require_images(images)
    extras.check_images(images)
    get_mask_style(options.mask, extras.parser)  # an invalid choice raises before the networks run
    found = detect_all(images, detector, options, extras.people)
    faces, skipped = select_faces(images, found, options, extras.inside)
    aligned, lost = without_strangers(step(align(images, faces, side, options.sampling)), options)
    aligned = limit_paste_area(aligned, options, extras)
    fixed = paste_unharmed(images, images if background is None else background, aligned, options, extras.parser)
    return fixed._replace(skipped=skipped + lost + fixed.skipped, found=tuple(found))


def paste_unharmed(
    images: Tensor, background: Tensor, aligned: AlignedFaces, options: FixOptions, parser: Parser | None = None
) -> Fixed:
    """`paste` into a background, but for the faces that get softer than in `images`, see `selection.harm`."""
    how, grain = (options.mask, parser, options.keep_detail), 0 if options.match_grain else None
    if not can_harm(aligned, options.always):
        return Fixed(*paste(background, aligned, *how, grain), aligned, [])
    pasted, changed, measured = paste_measured(images, background, aligned, *how)  # without grain, which would pass for detail
    kept, harmed = without_harmed(images, background, pasted, aligned, options.always, measured)
    if harmed or grain is not None:
        pasted, changed = paste(background, kept, *how, grain, check=False)
    return Fixed(pasted, changed, kept, harmed)


def limit_paste_area(aligned: AlignedFaces, options: FixOptions, extras: Extras) -> AlignedFaces:
    """Limit the paste to the parts and opacity of the options, to what is seen of a face, and to outside the keep-out mask."""
    aligned = with_opacity(aligned, options.blend)
    if options.parts is not None:
        aligned = restrict_to_parts(aligned, options.parts, extras.parser, grow=options.grow, feather=options.feather)
    if extras.occluder is not None:
        aligned = exclude_occluded(aligned, extras.occluder)
    return aligned if extras.keep_out is None else exclude(aligned, extras.keep_out)


def apply_to_aligned(
    images: Tensor, side: int, step: Step, options: FixOptions = FixOptions(), extras: Extras = Extras()
) -> Fixed:
    """Apply a step to images that are already aligned faces: `apply_to_faces` without detection and warping.

    Args:
        images: (B, 3, H, W) RGB in [0, 1], each one face in the FFHQ pose, of any size; not modified.
        side, step: see `apply_to_faces`.

    Returns:
        See `Fixed`. The images have the size of the crops that `step` returns; they keep their own where that is smaller, or
        the paste is limited to an area (as by `inpaint` and a keep-out mask), outside which pixels are bit-identical.
    """
    require_images(images)
    extras.check_images(images)
    aligned, lost = without_strangers(step(wrap_aligned_images(images, side)), options)
    aligned = limit_paste_area(aligned, options, extras)
    smaller = max(images.shape[-2:]) > aligned.crops.shape[-1]
    size = images.shape[-2:] if smaller or aligned.within is not None else aligned.crops.shape[-2:]
    result, detailed = resize(images, *size).clone(), keeps_detail(aligned, options.keep_detail)
    changed = result.new_zeros(len(images), 1, *size)
    noise = torch.Generator().manual_seed(0) if options.match_grain else None
    for row, face in enumerate(aligned.faces):
        weight = resize(aligned.masks[row : row + 1], *size)[0]
        if aligned.within is not None:
            weight = weight * aligned.within[face.image_index if len(aligned.within) > 1 else 0]
        image = result[face.image_index]
        crop = resize(aligned.crops[row : row + 1], *size)[0]
        if detailed[row]:
            crop = with_detail(crop[None], image[None], resize(aligned.originals[row : row + 1], *size))[0]
        mixed = with_grain(torch.lerp(image, crop, weight), lacking_grain(image, crop, weight, noise), weight)
        image.copy_(torch.where(weight > 0, mixed, image))
        changed[face.image_index] = weight
    return Fixed(result, changed, aligned, lost)
