"""Video files: decode frames, encode changed ones, and remux all other streams, tags and chapters."""

from .audio import Audio, read_audio
from .codecs import CODECS, CONTAINERS
from .probe import Source, Video, probe
from .reader import Frame, FrameReader, read_frames
from .time_range import Extent, extent
from .writer import VideoWriter

__all__ = [
    "Audio",
    "CODECS",
    "CONTAINERS",
    "Extent",
    "Frame",
    "FrameReader",
    "Source",
    "Video",
    "VideoWriter",
    "extent",
    "probe",
    "read_frames",
    "read_audio",
]
