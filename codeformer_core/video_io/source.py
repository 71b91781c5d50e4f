"""Open a video file safely, and decode the frames of its video stream."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.error import BugError, FFmpegError, InvalidDataError, PatchWelcomeError, UndefinedError

from ..image_io.numbered import NumberedFrames
from .animation import animation_as_video

#: A file's path, its bytes in memory, or the files of its frames.
Source = str | Path | BinaryIO | NumberedFrames

_IMAGES = "image2,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,jpegxl_pipe,svg_pipe"  # opened only to be named in an error

_STILL_BRANDS = {"avif", "heic", "heix", "mif1"}  # of images that the demuxer of MP4 opens

# The demuxers that may open a file: no playlists or concat lists, which open other files and URLs, and no text formats.
_DEMUXERS = (
    "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,apng,mxf,nut,ivf,dv,rm,wtv,obu,av1,m4v,h264,hevc,vvc,mpegvideo,mjpeg,yuv4mpegpipe,"
    + _IMAGES
)

# Decoders that see the transparency of VP8 and VP9, which FFmpeg's own do not.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

#: What decoders raise for damaged packets; others follow that are not.
DAMAGED = (InvalidDataError, UndefinedError, PatchWelcomeError, BugError)

#: AV_DISPOSITION_ATTACHED_PIC: cover art.
ATTACHED_PICTURE = 0x400


def name_of(source: Source) -> str:
    """The name of the source in messages."""
    if isinstance(source, NumberedFrames):
        return source.pattern.name
    return Path(source).name if isinstance(source, (str, Path)) else "The video"


def open_video(source: Source) -> InputContainer:
    """Open a source for reading. Several can be open on one source at the same time.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not a video; the message names it.
    """
    name = name_of(source)
    if isinstance(source, NumberedFrames):
        return _opened_frames(source)
    if isinstance(source, (str, Path)):
        with Path(source).open("rb") as opened:  # so that a missing file, a folder and a lack of rights are Python's own errors
            empty = not opened.read(1)
        file: str | io.BytesIO = f"file:{Path(source)}"
    elif isinstance(source, io.BytesIO):
        file = io.BytesIO(source.getvalue())  # shares the bytes, with a position of its own
        empty = not file.getbuffer().nbytes
    else:
        raise TypeError(f"Got a {type(source).__name__}, expected the path of a video file or a BytesIO with its bytes.")
    if empty:
        raise ValueError(f"{name} is empty (0 bytes). Copy it again, or choose another.")
    try:
        container = _opened(file)
        unplayed = container.format.name == "webp_pipe" or container.metadata.get("major_brand") == "avis"
        if unplayed and (video := animation_as_video(source)) is not None:
            container.close()
            container = _opened(video)
    except (FFmpegError, ValueError) as error:
        reason = str(getattr(error, "strerror", error)).rstrip(".")  # without the error's number and the file's name
        raise ValueError(
            f"{name} cannot be opened as a video ({reason}). "
            "It is of another kind, or cut off or damaged: choose a video, or copy this one again."
        ) from error
    problem = None
    if container.format.name in _IMAGES.split(",") or container.metadata.get("major_brand") in _STILL_BRANDS:
        problem = f"{name} is an image, expected a video. Images are for Fix Faces, or `codeformer fix`."
    elif all(stream.disposition & ATTACHED_PICTURE for stream in container.streams.video):
        problem = f"{name} has no video stream that can be found, expected one. Choose a video, or copy this one again."
    if problem:
        container.close()
        raise ValueError(problem)
    return container


def _opened(file: str | io.BytesIO) -> InputContainer:
    # Tags need not be UTF-8: those of old cameras and programs are Latin-1.
    return av.open(file, "r", options={"protocol_whitelist": "file", "format_whitelist": _DEMUXERS}, metadata_errors="replace")


def _opened_frames(source: NumberedFrames) -> InputContainer:
    rate = f"{source.rate.numerator}/{source.rate.denominator}"
    options = {"protocol_whitelist": "file", "format_whitelist": "image2", "framerate": rate, "start_number": str(source.first)}
    try:
        return av.open(source.url, "r", format="image2", options=options)
    except FFmpegError as error:
        raise ValueError(
            f"{source.pattern} cannot be opened as numbered frames ({error.strerror}). Save them as PNG, JPEG or TIFF files."
        ) from error


def first_stream(container: InputContainer) -> av.VideoStream:
    """The video stream that is worked on: the first that is not cover art."""
    return next(stream for stream in container.streams.video if not stream.disposition & ATTACHED_PICTURE)


def decode_frames(container: InputContainer, damaged: list[int]) -> Iterator[av.VideoFrame]:
    """The frames of the first video stream in display order. As in FFmpeg, damaged ones are concealed or dropped.

    Args:
        container: read from where it is.
        damaged: the PTS of damaged frames and packets are appended to it.
    """
    stream = first_stream(container)
    decoder = alpha_decoder(stream)
    for packet in container.demux(stream):
        try:
            frames = packet.decode() if decoder is None else decoder.decode(packet)
        except DAMAGED:
            damaged.append(packet.pts if packet.pts is not None else packet.dts or 0)
            continue
        for frame in frames:
            if frame.is_corrupt:
                damaged.append(frame.pts or 0)
            yield frame


def has_block_alpha(stream: av.VideoStream) -> bool:
    """Whether Matroska says that each packet has another one beside it, with the transparency (BlockAdditional)."""
    return "1" in (stream.metadata.get("alpha_mode"), stream.metadata.get("ALPHA_MODE"))


def alpha_decoder(stream: av.VideoStream) -> av.VideoCodecContext | None:
    """libvpx's decoder for VP8 and VP9 with transparency, which FFmpeg's own do not see; None where it is not needed."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name not in av.codecs_available or not has_block_alpha(stream):
        return None
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = stream.codec_context.thread_count
    return decoder


def own_pts(frame: av.VideoFrame) -> int | None:
    """The PTS of a frame, else its DTS; None where the file has neither."""
    return frame.pts if frame.pts is not None else frame.dts
