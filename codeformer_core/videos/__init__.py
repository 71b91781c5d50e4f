"""A video file as frames and back, with everything beside the pixels that must be kept."""

from .codecs import CODECS
from .containers import CONTAINERS
from .reading import Frame, FrameReader, read_frames
from .sound import Sound, read_sound
from .source import Source, Video, probe
from .windows import Extent, extent
from .writing import VideoWriter

__all__ = [
    "CODECS",
    "CONTAINERS",
    "Extent",
    "Frame",
    "FrameReader",
    "Sound",
    "Source",
    "Video",
    "VideoWriter",
    "extent",
    "probe",
    "read_frames",
    "read_sound",
]
