"""Animated WebP and AVIF, which FFmpeg does not play: decoded by Pillow into a lossless video in memory, with their times."""

import io
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
from PIL import Image

_UNIT = Fraction(1, 1000)  # seconds: the formats count milliseconds

_UNSAID = 100  # milliseconds of a frame with a duration of 0, as in browsers

# EXIF tags in which ComfyUI stores prompt and workflow as "name:JSON": Model, Make and the ones before.
_WORKFLOW_TAGS = range(0x010C, 0x0111)


def animation_as_video(source: str | Path | io.BytesIO) -> io.BytesIO | None:
    """The bytes of a QuickTime file with the frames of an animated WebP or AVIF as PNG; None where it is no such.

    Raises:
        ValueError: it cannot be decoded to its end.
    """
    if isinstance(source, io.BytesIO):
        video = _as_video(source.getvalue(), 0, 0)
    else:
        status = Path(source).stat()
        video = _as_video(str(source), status.st_mtime_ns, status.st_size)
    return None if video is None else io.BytesIO(video)


@lru_cache(maxsize=2)  # a file is opened several times: for its properties, its frames, its other streams
def _as_video(source: str | bytes, _changed: int, _size: int) -> bytes | None:
    file = io.BytesIO()
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=("WEBP", "AVIF")) as image:
            if getattr(image, "n_frames", 1) < 2:
                return None
            _write(image, file)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"its animation cannot be decoded: {error}") from error
    return file.getvalue()


def _write(image: Image.Image, file: io.BytesIO) -> None:
    mode = "RGBA" if image.has_transparency_data else "RGB"
    with av.open(file, "w", format="mov", options={"movflags": "use_metadata_tags"}) as output:
        output.metadata.update(_workflow(image))
        stream = output.add_stream("png", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *image.size, mode.lower() if mode == "RGBA" else "rgb24"
        stream.time_base = stream.codec_context.time_base = _UNIT
        begin = 0
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            frame = av.VideoFrame.from_image(image.convert(mode))
            lasts = round(image.info.get("duration", 0)) or _UNSAID
            frame.pts, frame.time_base = begin, _UNIT
            for packet in stream.encode(frame):
                packet.duration = lasts
                output.mux(packet)
            begin += lasts
        output.mux(stream.encode(None))


def _workflow(image: Image.Image) -> dict[str, str]:
    """ComfyUI's prompt and workflow, by name."""
    exif = image.getexif()
    said = [str(exif[tag]).partition(":") for tag in _WORKFLOW_TAGS if tag in exif]
    return {name: value for name, _, value in said if name.isidentifier() and value.startswith(("{", "["))}
