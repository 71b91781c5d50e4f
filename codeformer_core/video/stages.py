"""The stages of a video: track, align, and paste; `choice` and `network_stages` have those between.

Each stage is a generator over `FrameState` and holds only the few frames that it needs, so that memory does not grow with the
length of a video. How frames and faces are grouped into batches changes no result but by the rounding: networks sum in another
order then. With the starter on a CPU no code of seven faces changed, and no sample by more than 1.1e-6 of white (batches of 1
to 7).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from ..align import align
from ..extras import Extras
from ..faces import AlignedFaces, Detector, Face, Harmed, Size, Skipped
from ..fidelity import fidelity_maps
from ..imaging import buffers
from ..masks.limits import with_opacity
from ..networks.encoded import EncodedFaces
from ..options import FixOptions, Selection
from ..options.steadiness import OFF
from ..paste import paste
from ..pipeline import detect_all, limit_paste_area, select_faces, upscale_background
from ..selection.harm import harm_reasons, paste_measured
from .clip_grey import ClipGrey
from .harm import HarmFilter
from .scene_cuts import SceneCutDetector
from .tracking import Tracked, Tracker


class Frame(Protocol):
    """A frame of a sequence; all have one size."""

    def image(self, device: torch.device | str = "cpu") -> Tensor:
        """(1, 3, H, W) float32 RGB in [0, 1]; asked for up to three times, so that few images are held at once."""
        ...


F = TypeVar("F", bound=Frame)


class FrameState(NamedTuple, Generic[F]):
    """A frame on its way through the stages, each of which fills in its fields.

    Attributes:
        frame: the frame that came in.
        skipped: the faces that were detected in it and are left alone, and why.
        tracked: after `track_stage`, its faces; after `choose_stage`, those to work on; after `paste_stage`, those pasted.
        size: (H, W) of the frame that came in.
        shot: the number of its shot.
        aligned: after `align_stage`, the same faces with degraded crops, later with restored ones; None without faces.
        fidelity: after `align_stage`, where faces have their own: one for each (N,), or maps over them (N, 1, S, S).
        encoded: between `encode_stage` and `decode_stage`, their encodings with averaged logits.
        image: after `paste_stage`, (1, 3, H', W') RGB in [0, 1]; None when neither pixels nor size of the frame change.
        mask: after `paste_stage`, (1, 1, H', W') in [0, 1], where faces were pasted; None without any.
        harmed: after `paste_stage`, the tracks that are left alone lest they get softer, and why.
        harm: after `paste_stage`, the weights of `HarmFilter` until the next frame is asked for.
        found: all faces that were detected in it.
    """

    frame: F
    skipped: list[Skipped]
    tracked: Sequence[Tracked] = ()
    size: Size = (0, 0)
    shot: int = 0
    aligned: AlignedFaces | None = None
    fidelity: Tensor | None = None
    encoded: EncodedFaces | None = None
    image: Tensor | None = None
    mask: Tensor | None = None
    harmed: Mapping[int, str] = MappingProxyType({})
    harm: Mapping[int, float] = MappingProxyType({})
    found: Sequence[Face] = ()


class Begin(NamedTuple):
    """Where work on a film begins that is worked on in parts, with what is known of the frames before; by default at its start.

    Attributes:
        number: the first frame that comes out.
        known: the detections of the frames before it in its shot. They are read once more, but not restored.
        harm: the weights of `HarmFilter` then.
    """

    number: int = 0
    known: Sequence[Sequence[Face]] = ()
    harm: Mapping[int, float] = MappingProxyType({})


def track_stage(
    frames: Iterable[F],
    detector: Detector,
    options: FixOptions,
    extras: Extras,
    device: torch.device | str,
    begin: Begin = Begin(),
) -> Iterator[FrameState[F]]:
    """Detect the faces of each frame, track them from frame to frame, and smooth their landmarks over time.

    With `options.steady` off the faces of each frame are selected here; else only duplicates are left out, see `choice`.
    """
    known, cuts, shot = deque(begin.known), SceneCutDetector(), 0
    tracker = Tracker(options.steadiness if options.steady else OFF, begin.number - len(known))
    pending: deque[FrameState[F]] = deque()
    masks = extras
    if options.steady:
        selection, extras = Selection(duplicates=options.selection.duplicates), Extras()
        options = replace(options, selection=selection, detection=replace(options.detection, eye_distance=0.0))
    frames = iter(frames)
    while chunk := list(islice(frames, min(options.chunk, len(known) or options.chunk))):
        images = _stack(chunk, device)
        masks.check_images(images)
        if known:
            found = [face._replace(image_index=index) for index in range(len(chunk)) for face in known.popleft()]
        else:
            found = detect_all(images, detector, options, extras.people)
        faces, skipped = select_faces(images, found, options, extras.inside)
        for index, (frame, cut) in enumerate(zip(chunk, cuts.push(images), strict=True)):
            in_frame = [one._replace(face=one.face._replace(image_index=0)) for one in skipped if one.face.image_index == index]
            shot += cut
            own, detections = (
                [face._replace(image_index=0) for face in some if face.image_index == index] for some in (found, faces)
            )
            pending.append(FrameState(frame, in_frame, size=(images.shape[2], images.shape[3]), shot=shot, found=own))
            for tracked in tracker.push(detections, cut):
                yield pending.popleft()._replace(tracked=tracked)
    for tracked in tracker.finish():
        yield pending.popleft()._replace(tracked=tracked)


def align_stage(
    states: Iterable[FrameState[F]], side: int, options: FixOptions, extras: Extras, device: torch.device | str
) -> Iterator[FrameState[F]]:
    """Cut the tracked faces out as crops of `side` pixels; the opacity of a face that fades in or out goes into its mask."""
    grey, shot = ClipGrey(), 0
    for state in states:
        if state.shot != shot:
            grey, shot = ClipGrey(), state.shot
        if state.tracked:
            faces = [tracked.face for tracked in state.tracked]
            aligned = align(state.frame.image(device), faces, side, options.sampling)
            aligned = grey.push(aligned) if options.steady else aligned
            fidelity = _own_fidelity(aligned, state.tracked, options, extras.fidelity_mask)
            aligned = with_opacity(aligned, [tracked.opacity for tracked in state.tracked])
            state = state._replace(aligned=aligned, fidelity=fidelity)
        yield state


def _own_fidelity(aligned: AlignedFaces, tracked: Sequence[Tracked], options: FixOptions, mask: Tensor | None) -> Tensor | None:
    """Of each face the fidelity of its place, further ones the last, and 1 in the white of a mask; None where all are alike."""
    values = options.fidelity if isinstance(options.fidelity, tuple) else (options.fidelity,)
    if len(values) == 1 and mask is None:
        return None
    places = [one.place or row for row, one in enumerate(tracked, 1)]
    own = torch.tensor([values[min(place, len(values)) - 1] for place in places], dtype=torch.float32)
    return own if mask is None else fidelity_maps(aligned, own, mask, inside=1.0)


def paste_stage(
    states: Iterable[FrameState[F]], options: FixOptions, extras: Extras, device: torch.device | str, begin: Begin = Begin()
) -> Iterator[FrameState[F]]:
    """Enlarge frames where an enlargement is asked for, and paste the faces back."""
    harm, whole_frame = HarmFilter(begin.harm), changes_every_pixel(options, extras)
    for index, state in enumerate(states, begin.number):
        if state.aligned or whole_frame:
            frame = state.frame.image(device)
            image = upscale_background(frame, options, extras)
            if state.aligned:
                aligned = limit_paste_area(state.aligned, options, extras)
                grain = index if options.match_grain else None
                state = _pasted(state, aligned, frame, image, options, extras, None if options.always else harm, grain)
            if whole_frame and state.image is None:
                state = state._replace(image=image)
        yield state._replace(harm=harm.weights)


def _pasted(
    state: FrameState[F],
    aligned: AlignedFaces,
    frame: Tensor,
    image: Tensor,
    options: FixOptions,
    extras: Extras,
    harm: HarmFilter | None,
    grain: int | None,
) -> FrameState[F]:
    """A frame with its aligned faces pasted into `image`, but for those that would get softer.

    Args:
        grain: see `paste`: the frame's number, so that grain is fresh in every frame.
    """
    tracked = state.tracked
    how = options.mask, extras.parser, options.keep_detail
    if harm is None or not aligned.small:
        pasted, mask = paste(image, aligned, *how, grain)
        return state._replace(aligned=aligned, image=pasted, mask=mask)
    pasted, mask, measured = paste_measured(frame, image, aligned, *how)  # without grain, which would pass for detail
    reasons = harm_reasons(frame, image, pasted, aligned, measured)
    weights = harm.push([one.track for one in tracked], reasons)
    if min(weights) < 1:
        kept = [row for row, weight in enumerate(weights) if weight > 0]
        alone = {one.track: why for one, why, weight in zip(tracked, reasons, weights, strict=True) if why and not weight}
        left = [Harmed(one.face._replace(image_index=0), alone[one.track]) for one in tracked if one.track in alone]
        state = state._replace(skipped=[*state.skipped, *left], tracked=[tracked[row] for row in kept], harmed=alone)
        if not kept:
            return state._replace(aligned=None)
        aligned = with_opacity(aligned.subset(kept), [weights[row] for row in kept])
    if min(weights) < 1 or grain is not None:
        pasted, mask = paste(image, aligned, *how, grain, check=False)
    return state._replace(aligned=aligned, image=pasted, mask=mask)


def changes_every_pixel(options: FixOptions, extras: Extras) -> bool:
    """Whether the frames are enlarged or cleaned as a whole, beside their faces."""
    return extras.upscaler is not None or options.upscale != 1


def _stack(frames: Sequence[Frame], device: torch.device | str) -> Tensor:
    """The images of frames as one batch (B, 3, H, W), without a second copy of all of them."""
    for frame in frames:
        if not hasattr(frame, "image"):
            raise TypeError(
                f"Found a {type(frame).__name__} as a frame. Expected an object whose image(device) gives (1, 3, H, W); "
                "`fix_frames` takes a tensor of frames."
            )
    first = frames[0].image(device)
    if len(frames) == 1:
        return first
    images = buffers.empty(first, len(frames), *first.shape[1:])
    images[0] = first[0]
    for index, frame in enumerate(frames[1:], 1):
        images[index] = frame.image(device)[0]
    return images
