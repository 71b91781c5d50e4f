"""The sound of a window of a video, decoded."""

from collections.abc import Iterator
from typing import NamedTuple

import av
import av.audio
import av.container
import av.error
import numpy as np
import torch
from torch import Tensor

from .source import Source, open_video


class Sound(NamedTuple):
    """Decoded sound.

    Attributes:
        waveform: (C, T) float32, full scale is 1.
        rate: samples per second.
    """

    waveform: Tensor
    rate: int


def read_sound(source: Source, start: float = 0.0, duration: float = 0.0) -> Sound | None:
    """The sound of a window of the file's own time, from its first audio stream that can be decoded.

    Where the stream begins later than the window, silence fills the gap, so that sample 0 is heard at `start`.

    Args:
        source: a path, or a BytesIO with the file's bytes.
        start: seconds of the file's own time.
        duration: seconds; 0 is to the end.

    Returns:
        None when the file has no sound that can be decoded, or none in the window.

    Raises:
        OSError, ValueError: the file cannot be opened, or is not a video.
    """
    with open_video(source) as container:
        stream = next((stream for stream in container.streams.audio if stream.codec_context is not None), None)
        if stream is None:
            return None
        if start:  # a second earlier: some codecs need packets before the one that is wanted
            container.seek(max(0, int((start - 1) * av.time_base)))
        rate = stream.codec_context.sample_rate
        first = round(start * rate)
        last = round((start + duration) * rate) if duration else None
        parts: list[np.ndarray] = []
        reached = first  # samples of the file's own time that `parts` go up to
        for at, samples in _pieces(container, stream):
            if last is not None and at >= last:
                break
            skip = max(0, reached - at)  # what overlaps, or lies before the window
            samples, at = samples[:, skip : None if last is None else last - at], at + skip
            if samples.shape[1]:
                if at > reached:
                    parts.append(np.zeros((samples.shape[0], at - reached), np.float32))
                parts.append(samples)
                reached = at + samples.shape[1]
    if not parts:
        return None
    channels = max(part.shape[0] for part in parts)
    parts = [part for part in parts if part.shape[0] == channels]
    return Sound(torch.from_numpy(np.concatenate(parts, 1)), rate)


def _pieces(container: av.container.InputContainer, stream: av.audio.stream.AudioStream) -> Iterator[tuple[int, np.ndarray]]:
    """(first sample, (C, T) float32) of each decoded piece. Damaged packets are passed over."""
    context = stream.codec_context
    resampler = av.AudioResampler(format="fltp", layout=context.layout, rate=context.sample_rate)
    at = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if frame.pts is not None and frame.time_base:
                at = round(frame.pts * frame.time_base * context.sample_rate)
            for piece in resampler.resample(frame):
                samples = piece.to_ndarray()
                yield at or 0, samples
                at = (at or 0) + samples.shape[1]
