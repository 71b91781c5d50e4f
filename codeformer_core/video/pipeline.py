"""Restore the faces of consecutive frames and of video files: the steps of `pipeline`, with every face tracked over time."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from ..align import align
from ..extras import Extras
from ..faces import AlignedFaces, Detector, require_images
from ..image_io.numbered import is_pattern
from ..imaging import buffers
from ..masks.styles import get_mask_style
from ..options import FixOptions
from ..pipeline import Fixed, batch_size
from ..restoration import check_fidelity
from ..runtime.prefetch import prefetch
from ..runtime.progress import Tick, no_tick
from ..selection.select import resolve
from ..video_io import (
    Frame,
    FrameFilesWriter,
    Source,
    VideoWriter,
    estimate_frames,
    frame_rate,
    frames_as_times,
    read_frames,
    resample,
)
from . import network_stages, stages
from .choice import choose_stage
from .code_averaging import REACH
from .network_stages import MapBudget, SteadyRestorer
from .stages import Begin, F, FrameState


def fix_stream(
    frames: Iterable[F],
    detector: Detector,
    restorer: SteadyRestorer,
    options: FixOptions = FixOptions(),
    extras: Extras = Extras(),
    device: torch.device | str = "cpu",
    begin: Begin = Begin(),
) -> Iterator[FrameState[F]]:
    """Restore the faces of consecutive frames, one frame in, one frame out: a streaming `fix_faces`.

    Every choice among the faces is made once in a shot, see `choice`. With `options.steady` off every frame is treated as
    `fix_faces` treats an image.

    Args:
        frames: any iterable; only as many are held as tracking and smoothing look ahead, and one chunk.
        options: of several fidelities each is for the face of that place in its shot, the last for all further ones.
        extras: one mask of each kind serves every frame.
        device: where frames are worked on.
        begin: where frames are those of the middle of a film.

    Yields:
        The finished state of every frame, in order; the first after the frames that its tracking and smoothing look ahead to.

    Raises:
        ValueError: an option or a mask that does not suit a sequence, before the first frame.
        RuntimeError: the restorer's result is not finite; nothing of it is pasted.
    """
    fidelities = options.fidelity if isinstance(options.fidelity, tuple) else (options.fidelity,)
    check_fidelity(*fidelities)
    if options.likeness != "off":
        raise ValueError("The likeness is measured in images only, not in a sequence of frames: turn it off.")
    for name, mask in extras.masks():
        if len(mask) != 1:
            raise ValueError(f"Found {len(mask)} masks as {name} for a sequence. Expected one, for all frames.")
    get_mask_style(options.mask, extras.parser)  # a wrong choice raises before the work, not after it
    resolve(options.selection)
    options = replace(options, batch=batch_size(options, restorer))
    states = stages.track_stage(frames, detector, options, extras, device, begin)
    if options.steady:
        states = choose_stage(states, options, extras, device)
    states = stages.align_stage(states, restorer.side, options, extras, device)
    averaged = min(len(begin.known), REACH)  # frames before, whose codes count
    states = islice(states, len(begin.known) - averaged, None)
    budget, highest = MapBudget(), max(fidelities) if extras.fidelity_mask is None else 1.0
    states = network_stages.encode_stage(states, restorer, highest, options, budget)
    states = network_stages.decode_stage(states, restorer, highest, options, extras, budget)
    yield from stages.paste_stage(islice(states, averaged, None), options, extras, device, begin)


def fix_frames(
    images: Tensor,
    detector: Detector,
    restorer: SteadyRestorer,
    options: FixOptions = FixOptions(),
    extras: Extras = Extras(),
    tick: Tick = no_tick,
    *,
    keep: torch.dtype | None = torch.float32,
) -> Fixed:
    """`fix_stream` for frames that are in memory already, with one result as of `fix_faces`.

    Args:
        images: (B, 3, H, W) RGB in [0, 1], consecutive frames; not modified. They are worked on where they are.
        detector, restorer, options, extras: see `fix_stream`.
        tick: counts frames.
        keep: the precision of the result's aligned faces, 6.3 MB each in float32; with None there are none.

    Raises:
        ValueError, RuntimeError: see `fix_stream`; there is no frame.
    """
    require_images(images)
    frames = [_MemoryFrame(images[index : index + 1]) for index in range(len(images))]
    result, changed, parts, found, skipped = None, None, [], [], []
    tick(0, len(frames))
    for index, done in enumerate(fix_stream(frames, detector, restorer, options, extras, images.device)):
        image = done.frame.pixels if done.image is None else done.image
        if result is None or changed is None:
            result = buffers.empty(image, len(frames), *image.shape[1:])
            changed = buffers.zeros(image, len(frames), 1, *image.shape[-2:])
        result[index] = image[0]
        if done.mask is not None:
            changed[index] = done.mask[0]
        found += [one.face._replace(image_index=index) for one in done.tracked]
        if keep is not None:
            parts.append(done.aligned and done.aligned.to(keep))
        skipped += [one._replace(face=one.face._replace(image_index=index)) for one in done.skipped]
        tick(index + 1, len(frames))
    if result is None or changed is None:
        raise ValueError("Found no frame. Expected at least one.")
    no_faces = align(images[:1], (), restorer.side, options.sampling)
    aligned = AlignedFaces.joined([no_faces if part is None else part for part in parts or [None]])
    found += [one.face for one in skipped]
    return Fixed(result, changed, aligned, skipped, tuple(found))


class _MemoryFrame(NamedTuple):
    """A frame (1, 3, H, W) of a batch of images, see `stages.Frame`."""

    pixels: Tensor

    def image(self, device: torch.device | str = "cpu") -> Tensor:
        return self.pixels.to(device)


#: Frames that are prefetched, decoded in the video's own pixel format: 3 MB each at 1920 x 1080.
PREFETCHED = 8


class FixedVideo(NamedTuple):
    """The result of `fix_video`.

    Attributes:
        frames: the number of frames written.
        with_faces: how many of them have a restored face.
        people: the number of tracks with a restored face; a face that leaves and comes back counts twice.
        notices: sentences on damage in the source, and on what the new file could not keep.
        left_alone: the number of tracks that are left as they are lest they get softer, by the reason.
    """

    frames: int
    with_faces: int
    people: int
    notices: list[str]
    left_alone: Mapping[str, int] = MappingProxyType({})


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
    first: int = 0,
    count: int = 0,
    every: int = 1,
    fps: float = 0.0,
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
    preset: str = "medium",
    hardware: bool = False,
    device: torch.device | str = "cpu",
    tick: Tick = no_tick,
    show: Callable[[FrameState[Frame]], object] = lambda done: None,
) -> FixedVideo:
    """Restore the faces of a video file; everything else is kept, see `VideoWriter`.

    Memory does not grow with the length. Decoding and encoding run in threads beside the networks.

    Args:
        source: a path, a BytesIO with the bytes of a file, or `NumberedFrames`.
        path: of the new file, which is written atomically; or a pattern such as frames/%05d.png for numbered images.
        detector, restorer, options, extras: see `fix_stream`.
        start, duration: seconds; the part that is read and written. A duration of 0 goes to the end.
        first, count, every: frames of that part to leave out at its beginning, how many to go through (0: all), and one of how
            many is written, at its own time. Sound is that of the same part.
        fps: frames per second of the new file, at the same speed; 0 keeps every frame and its time.
        codec, crf: a row of `video_io.CODECS`, and its quality: lower is better and larger. None is the container's first
            codec, and the codec's default.
        overwrite: replace an existing file.
        preset, hardware: see `VideoWriter`.
        device: where frames are worked on.
        tick: called with the frames done and the total (0 when the file does not say); what it raises stops the work.
        show: called with every frame when it is written.

    Raises:
        OSError: the source cannot be read, or the file cannot be written.
        ValueError, RuntimeError: see `read_frames`, `VideoWriter` and `fix_stream`.
    """
    if first or count:
        start, duration = frames_as_times(source, start, duration, first, count)
    reader = read_frames(source, start, duration, every=every)
    frames, with_faces, tracks, harmed = 0, 0, set(), {}
    rate = frame_rate(fps) if fps else None
    total = estimate_frames(reader.video, start, duration, every=every, rate=rate)
    whole_frame = stages.changes_every_pixel(options, extras)
    tick(0, total)
    if is_pattern(path):
        writer = FrameFilesWriter(path, source, overwrite)
    else:
        writer = VideoWriter(
            path,
            source,
            codec=codec,
            crf=crf,
            start=start,
            duration=duration,
            rate=rate,
            overwrite=overwrite,
            preset=preset,
            hardware=hardware,
        )
    with (
        writer,
        prefetch(reader if rate is None else resample(reader, rate), PREFETCHED) as prefetched,
    ):
        for done in fix_stream(prefetched, detector, restorer, options, extras, device):
            writer.write(done.frame, done.image, None if whole_frame else done.mask)
            frames += 1
            with_faces += bool(done.tracked)
            tracks.update(tracked.track for tracked in done.tracked)
            harmed |= done.harmed
            show(done)
            tick(frames, max(total, frames) if total else 0)
    left_alone = Counter(why for track, why in harmed.items() if track not in tracks)
    return FixedVideo(frames, with_faces, len(tracks), [*reader.notices, *writer.notices], left_alone)
