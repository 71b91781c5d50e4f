"""Faces in consecutive frames, and in a video from file to file: the steps of `pipeline`, with every face tracked over time."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from ..align import align
from ..faces import AlignedFaces, Detector, Skipped
from ..imaging import buffers
from ..masks.styles import get_mask_style
from ..options import FixOptions
from ..paste import paste
from ..pipeline import Extras, Fixed, batch_size, limit_paste_area, upscale_background
from ..runtime.prefetch import prefetch
from ..runtime.progress import Tick, no_tick
from ..video_io import Source, VideoWriter, extent, read_frames
from .stages import F, FrameState, SteadyRestorer, align_faces, one_fidelity, restore_faces, restore_steadily, track_faces


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
    options: FixOptions = FixOptions(),
    extras: Extras = Extras(),
    device: torch.device | str = "cpu",
) -> Iterator[FixedFrame[F]]:
    """Restore the faces of consecutive frames; `fix_faces` for images that follow one another in time.

    With `steady` off every frame is treated as `fix_faces` treats an image.

    Args:
        frames: taken one after the other, never held as a whole.
        extras: a single mask of each kind serves every frame.
        device: where frames are worked on.

    Yields:
        Every frame, in order. The first comes once the frames that are needed to track and smooth its faces were seen.
    """
    one_fidelity(options)
    if options.chunk < 1:
        raise ValueError(f"Found {options.chunk} frames at once. Expected 1 or more.")
    if extras.inside is not None and len(extras.inside) != 1:
        raise ValueError(f"Found {len(extras.inside)} masks for the faces of a sequence. Expected one, for all frames.")
    get_mask_style(options.mask, extras.parser)  # a wrong choice raises before the work, not after it
    options = replace(options, batch=batch_size(options, restorer))
    aligned = align_faces(track_faces(frames, detector, options, extras.inside, device), restorer.side, device)
    averaged = options.steady and options.steadiness.strength > 0
    for state in (restore_steadily if averaged else restore_faces)(aligned, restorer, options, extras):
        yield _pasted(state, options, extras, device)


def fix_frames(
    images: Tensor,
    detector: Detector,
    restorer: SteadyRestorer,
    options: FixOptions = FixOptions(),
    extras: Extras = Extras(),
    tick: Tick = no_tick,
) -> Fixed:
    """`fix_stream` for frames (B, 3, H, W) RGB in [0, 1] that are in memory already; `tick` counts frames."""
    stills = [_Still(images[index : index + 1]) for index in range(len(images))]
    result, changed, parts, skipped = None, None, [], []
    tick(0, len(stills))
    for index, done in enumerate(fix_stream(stills, detector, restorer, options, extras, images.device)):
        image = done.frame.pixels if done.image is None else done.image
        if result is None or changed is None:
            result = buffers.empty(image, len(stills), *image.shape[1:])
            changed = buffers.zeros(image, len(stills), 1, *image.shape[-2:])
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
    pixels: Tensor

    def image(self, device: torch.device | str = "cpu") -> Tensor:
        return self.pixels.to(device)


def _pasted(state: FrameState[F], options: FixOptions, extras: Extras, device: torch.device | str) -> FixedFrame[F]:
    """A frame with its faces pasted back, enlarged if that was asked for."""
    image, mask, aligned = None, None, state.aligned
    if aligned or _enlarges(options, extras):
        image = upscale_background(state.frame.image(device), options, extras)
    if aligned and image is not None:
        aligned = limit_paste_area(aligned, options, extras)
        image, mask = paste(image, aligned, options.mask, extras.parser, options.keep_detail)
    tracks = tuple(tracked.track for tracked in state.tracked)
    return FixedFrame(state.frame, image, mask, aligned, tracks, state.skipped)


def _enlarges(options: FixOptions, extras: Extras) -> bool:
    """Whether every pixel of a frame is new, not only those of its faces."""
    return extras.upscaler is not None or options.upscale != 1


#: Frames that are decoded ahead of the network, in the video's own format: 3 MB each at 1920 x 1080.
AHEAD = 8


class FixedVideo(NamedTuple):
    """What became of a video.

    Attributes:
        frames: how many were written.
        with_faces: how many of them have a restored face.
        people: how many faces were followed; one that leaves and comes back counts twice.
        notices: what the file could not keep, and what was wrong with it, in sentences.
    """

    frames: int
    with_faces: int
    people: int
    notices: list[str]


def fix_video(
    source: Source,
    path: Path,
    detector: Detector,
    restorer: SteadyRestorer,
    options: FixOptions = FixOptions(),
    extras: Extras = Extras(),
    *,
    start: float = 0.0,
    duration: float = 0.0,
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
    device: torch.device | str = "cpu",
    tick: Tick = no_tick,
) -> FixedVideo:
    """Restore the faces of a video file; everything else is kept as `VideoWriter` says.

    Memory does not grow with the length. Decoding, the networks and encoding run at the same time.

    Args:
        source: a file, or one in memory.
        path: the new file, which appears whole or not at all.
        start, duration: seconds; the part that is read and written. A duration of 0 goes to the end.
        codec, crf: a row of `videos.CODECS`, and its quality: lower is better and larger. None is the file format's first
            codec, and the codec's default.
        device: where frames are worked on.
        tick: called with frames done and frames in all (0 when the file does not say); what it raises stops the work.
    """
    reader = read_frames(source, start, duration)
    total, frames, with_faces, people = extent(reader.video, start, duration).frames, 0, 0, set()
    whole = _enlarges(options, extras)
    tick(0, total)
    with (
        VideoWriter(path, source, codec=codec, crf=crf, start=start, duration=duration, overwrite=overwrite) as writer,
        prefetch(reader, AHEAD) as reading,
    ):
        for done in fix_stream(reading, detector, restorer, options, extras, device):
            writer.write(done.frame, done.image, None if whole else done.mask)
            frames += 1
            with_faces += bool(done.tracks)
            people.update(done.tracks)
            tick(frames, max(total, frames) if total else 0)
    return FixedVideo(frames, with_faces, len(people), [*reader.notices, *writer.notices])
