"""Steps on aligned faces: restore, colorize, inpaint, replace crops. Each returns a changed copy, so steps chain."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from .align import warp_to_crops
from .faces import AlignedFaces
from .imaging.colour import keep_grey, replace_luminance
from .imaging.resize import resize
from .masks.limits import restrict_to
from .options.fix import GREY
from .runtime.batching import run_in_batches
from .runtime.finite import check_finite
from .runtime.progress import Tick, no_tick


class Restorer(Protocol):
    """A restoration network; `side` is the side of its crops in pixels."""

    side: int

    def restore(self, crops: Tensor, fidelity: float | Tensor, match_style: bool) -> Tensor:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> restored crops (N, 3, S, S) in [0, 1]."""
        ...


class MixedRestorer(torch.nn.Module):
    """Two restoration networks whose faces are mixed, after the same detection, at the larger of their sides.

    Args:
        mix: 0 is the first network's face, 1 the second's.
    """

    first: Any
    second: Any
    side: int

    def __init__(self, first: Restorer, second: Restorer, mix: float = 0.5) -> None:
        super().__init__()
        if not 0 <= mix <= 1:
            raise ValueError(f"Found a mix of {mix:g}. Expected 0 (the first network's face) to 1 (the second's).")
        self.first, self.second, self.mix, self.side = first, second, mix, max(first.side, second.side)

    def restore(self, crops: Tensor, fidelity: float | Tensor, match_style: bool) -> Tensor:
        """See `Restorer`; the fidelity is the same for both."""
        networks = self.first, self.second
        first, second = (resize(one.restore(resize(crops, one.side), fidelity, match_style), self.side) for one in networks)
        return torch.lerp(first, second, self.mix)

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes for a call with crops of `height` x `width`: of the larger network, since they run one after the other."""
        return max(one.memory_used(batch, height, width) for one in (self.first, self.second))


class Colorizer(Protocol):
    """A colorization network."""

    side: int

    def colorize(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> colorized (N, 3, S, S) in [0, 1]."""
        ...


class Inpainter(Protocol):
    """An inpainting network."""

    side: int

    def inpaint(self, crops: Tensor, holes: Tensor) -> Tensor:
        """Crops (N, 3, S, S) and holes (N, 1, S, S), in [0, 1] -> filled (N, 3, S, S), equal to the crops where holes are 0."""
        ...


def restore(
    aligned: AlignedFaces,
    restorer: Restorer,
    fidelity: float | Tensor = 0.5,
    *,
    match_style: bool = True,
    grey: str = "auto",
    batch: int = 1,
    tick: Tick = no_tick,
    check: bool = True,
) -> AlignedFaces:
    """The faces with restored crops.

    Crops of another side than the restorer's are resized for it; its results are pasted at their own size.

    Args:
        fidelity: 0 (quality) to 1 (the input); a number, one per face (N,), or maps (N, 1, h, w) over the crops.
        match_style: AdaIN: features take the mean and standard deviation of the degraded face's.
        grey: whether a crop becomes grey with the statistics of the original, see `FixOptions.grey`.
        batch: faces per call.
        tick: progress in faces, see `runtime.progress.Tick`.
        check: False leaves it to `paste` to look for values that are not finite, so that a GPU is waited for once.

    Raises:
        ValueError: an unknown choice, a fidelity outside 0 to 1, or one of the wrong shape.
        RuntimeError: the network gave values that are not finite.
    """
    if grey not in GREY:
        raise ValueError(f"{grey!r} is no choice for grey. Use one of: {', '.join(GREY)}.")
    if not isinstance(fidelity, Tensor):
        check_fidelity(fidelity)
    per_face = fidelity if isinstance(fidelity, Tensor) and fidelity.ndim > 0 and len(fidelity) > 1 else None
    if per_face is not None and 0 < len(aligned) != len(per_face):
        raise ValueError(f"Found {len(per_face)} fidelities for {len(aligned)} faces. Expected one for each, or one for all.")

    def restored(part: slice) -> Tensor:
        weight = fidelity if per_face is None else per_face[part]
        return restorer.restore(resize(aligned.crops[part], restorer.side), weight, match_style)

    crops = in_batches(restored, aligned, restorer, batch, tick, check=check)
    crops = keep_grey(crops, aligned.originals, aligned.grey, grey)
    return replace(aligned, crops=crops, unchecked=None if check else restorer)


def colorize(
    aligned: AlignedFaces, restorer: Colorizer, *, keep_luminance: bool = False, batch: int = 1, tick: Tick = no_tick
) -> AlignedFaces:
    """The faces with colorized crops.

    Args:
        keep_luminance: only chroma changes; paste with `keep_detail` to keep the luminance of the image exactly.
        batch, tick: see `restore`.
    """

    def colorized(part: slice) -> Tensor:
        return restorer.colorize(resize(aligned.crops[part], restorer.side))

    crops = in_batches(colorized, aligned, restorer, batch, tick)
    if keep_luminance:
        crops = replace_luminance(crops, resize(aligned.crops, crops.shape[-1]))
    grey = (0,) * len(aligned)  # so that a later `restore` keeps the colours
    return replace(aligned, crops=crops, grey=grey, edited=True)


def inpaint(aligned: AlignedFaces, restorer: Inpainter, holes: Tensor, *, batch: int = 1, tick: Tick = no_tick) -> AlignedFaces:
    """The faces with holes, inpainted and limited to the holes; faces without are dropped.

    Args:
        holes: (1 or B, 1, h, w) in [0, 1] over the images, of any size; above one half is unknown, and a ramp below it blends
            the inpainted into the known.
        batch, tick: see `restore`.
    """
    in_crops = warp_to_crops(holes.to(aligned.crops), aligned)
    touched = [index for index, most in enumerate(in_crops.flatten(1).amax(1).tolist()) if most > 0.5]
    chosen, in_crops = aligned.subset(touched), resize(in_crops[touched], restorer.side)
    known = resize(chosen.crops, restorer.side)
    crops = in_batches(lambda part: restorer.inpaint(known[part], in_crops[part]), chosen, restorer, batch, tick)
    return restrict_to(replace(chosen, crops=crops, edited=True), holes)


def blend(first: AlignedFaces, second: AlignedFaces, ratio: float = 0.5, mask: Tensor | None = None) -> AlignedFaces:
    """Two versions of the same faces mixed, at the larger of their sides; everything but the crops is that of the first.

    Args:
        ratio: 0 is the first version, 1 the second.
        mask: (1 or B, 1, h, w) in [0, 1] over the images, of any size; the ratio applies where it is 1, where it is 0 the first
            version stays.

    Raises:
        ValueError: other faces, or the same ones cut out in another way.
    """
    if first.faces != second.faces or first.side != second.side or not torch.equal(first.affines, second.affines):
        raise ValueError(
            f"Found {len(first)} faces, and {len(second)} that are others or are cut out in another way. Expected the same "
            "faces twice: connect both networks to the same Detect Faces or Select Faces."
        )
    if not len(first):
        return first
    side = max(first.crops.shape[-1], second.crops.shape[-1])
    one, other = resize(first.crops, side), resize(second.crops, side).to(first.crops)
    share = ratio if mask is None else ratio * resize(warp_to_crops(mask.to(one), first), side)
    return replace(first, crops=torch.lerp(one, other, share), edited=first.edited or second.edited)


def in_batches(
    call: Callable[[slice], Tensor],
    aligned: AlignedFaces,
    network: object,
    batch: int,
    tick: Tick = no_tick,
    *,
    check: bool = True,
) -> Tensor:
    """What `call` gives for consecutive parts of the faces, (N, ...), where and in the type that the crops are.

    Args:
        check: see `restore`.

    Raises:
        RuntimeError: values that are not finite, in the faces or from the network.
    """
    if batch < 1:
        raise ValueError(f"Found a batch of {batch} faces. Expected 1 or more.")
    total, parts = len(aligned), []
    tick(0, total)
    for part, result in run_in_batches(call, total, lambda: batch):
        parts.append(result)
        tick(part.stop, total)
    if not parts:
        return aligned.crops
    crops = torch.cat(parts)
    return (check_finite(crops, network, aligned.crops, "face") if check else crops).to(aligned.crops)


def check_fidelity(*values: float) -> None:
    """A ValueError for a fidelity outside 0 to 1."""
    for value in values:
        if not 0 <= value <= 1:
            raise ValueError(f"Found a fidelity of {value:g}. Expected 0 (the cleanest face) to 1 (closest to the input).")


def replace_crops(aligned: AlignedFaces, crops: Tensor, masks: Tensor | None = None) -> AlignedFaces:
    """The same faces with edited crops, and masks that replace every earlier limit; both of any size.

    Args:
        crops: (N, 3, s, s) RGB in [0, 1], in the order of the faces.
        masks: (1 or N, 1, h, w) in [0, 1]; 1 takes the crop. A single one serves every face.

    Raises:
        ValueError: another number of crops or masks than faces, or crops that are not square.
    """
    count, _, height, width = crops.shape
    if count != len(aligned):
        raise ValueError(
            f"Found {count} crops for {len(aligned)} faces. Expected one crop for each face, in the same order: connect the "
            "faces that the crops were made from, and leave none out."
        )
    if height != width:
        raise ValueError(
            f"Found crops of {width} x {height} pixels. Expected squares, since a face is cut out as a square: enlarge or edit "
            "crops without changing their proportions."
        )
    changed = replace(aligned, crops=crops.to(aligned.originals), edited=True)
    if masks is None:
        return changed
    if len(masks) not in (1, len(aligned)):
        raise ValueError(
            f"Found {len(masks)} masks for {len(aligned)} faces. Expected one for each face, or one for all: connect the masks "
            "of Faces to Crops."
        )
    stretched = resize(masks.to(aligned.masks), aligned.side, aligned.side).clamp(0, 1)
    return replace(changed, masks=stretched.expand_as(aligned.masks), within=None)
