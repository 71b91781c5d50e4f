"""Video files: decode frames, encode changed ones, and remux all other streams, tags and chapters."""

from .audio import read_audio
from .codecs import CODECS, CONTAINERS
from .frame_files import FrameFilesWriter
from .parts import Part, PartsWriter, read_part
from .probe import probe
from .reader import Frame, frames_as_times, read_frames
from .resample import frame_rate, resample
from .source import Source
from .time_range import estimate_frames
from .writer import VideoWriter

__all__ = [
    "CODECS",
    "CONTAINERS",
    "Frame",
    "FrameFilesWriter",
    "Part",
    "PartsWriter",
    "Source",
    "VideoWriter",
    "estimate_frames",
    "frame_rate",
    "frames_as_times",
    "probe",
    "read_audio",
    "read_frames",
    "read_part",
    "resample",
]
