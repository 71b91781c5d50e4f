"""`codeformer video`: videos in, videos with restored faces out."""

from argparse import Namespace

from ..pipeline import Extras
from ..video.pipeline import FixedVideo, fix_video
from ..video_io import CONTAINERS, read_frames
from . import work
from .choices import fix_extras, fix_options
from .jobs import Job, Kind
from .picture import Files, Outcome, Tools

#: How files end that are taken from folders; PyAV reads many more kinds, when they are named.
READ = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".3gp", ".ogv")

VIDEOS = Kind("video", READ, tuple(CONTAINERS), ".mp4")


def run(args: Namespace) -> int:
    """Do the command; see `work.each`."""
    return work.each(args, "restoration", VIDEOS, _fix)


def _fix(job: Job, tools: Tools, files: Files) -> Outcome:
    args, networks = tools.args, tools.networks
    job.target.parent.mkdir(parents=True, exist_ok=True)
    done = fix_video(
        job.source,
        job.target,
        networks.detector,
        networks.restorer,
        fix_options(args, networks),
        _extras(job, tools),
        start=args.start,
        duration=args.duration,
        codec=args.codec,
        crf=args.crf,
        overwrite=files.overwrite,
        device=tools.device,
        tick=tools.watch("frame"),
    )
    return Outcome([f"{job.source}: {_said(done)} -> {job.target}", *done.notices], done.people, done.people)


def _said(done: FixedVideo) -> str:
    if not done.people:
        return f"{done.frames} frames, no face found"
    return f"{done.frames} frames, faces in {done.with_faces} of them: {done.people} found and restored"


def _extras(job: Job, tools: Tools) -> Extras:
    """Networks and masks; the first frame says what proportions the masks must have."""
    args = tools.args
    if not (args.inside or args.keep_out):
        return Extras(tools.networks.parser, tools.networks.bg_upscaler, tools.networks.face_upscaler)
    first = next(read_frames(job.source, args.start, count=1)).image(tools.device)
    return fix_extras(args, tools.networks, job, first)
