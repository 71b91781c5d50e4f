"""`codeformer video`: videos in, videos with restored faces out."""

from argparse import Namespace
from collections.abc import Callable
from functools import partial

from torch import Tensor

from ..recipe import Recipe
from ..tracking import OFF, Steadiness
from ..upscale import enlarge_with
from ..upscalers import Upscaler
from ..video import FixedVideo, fix_video
from ..videos import CONTAINERS, read_frames
from . import work
from .choices import detection, enlargement, limits, mask_of, searching, selection
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
        searching(args, networks.detector),
        networks.restorer,
        _recipe(job, tools),
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


def _recipe(job: Job, tools: Tools) -> Recipe:
    """What the options ask for, in the core's terms."""
    args, networks = tools.args, tools.networks
    factor = enlargement(args, networks)
    inside = keep_out = None
    if args.inside or args.keep_out:
        first = next(read_frames(job.source, args.start, count=1)).image(tools.device)
        inside, keep_out = mask_of(args.inside, job, first), mask_of(args.keep_out, job, first)
    return Recipe(
        fidelity=args.fidelity,
        match_style=args.match_style,
        grey=args.grey,
        batch=args.batch,
        options=detection(args),
        selection=selection(args),
        area=inside,
        colour=args.colour.replace("-", " "),
        mask=args.mask,
        parser=networks.parser,
        keep_detail=args.keep_detail,
        upscale=factor,
        limited=limits(args, networks.parser, keep_out),
        enlarged=_enlarging(networks.bg_upscaler, factor, args.bg_tile),
        upscale_faces=_enlarging(networks.face_upscaler, factor, args.bg_tile),
        steadiness=OFF if args.frame_by_frame else Steadiness(codes=args.temporal_strength),
        chunk=args.chunk,
    )


def _enlarging(upscaler: Upscaler | None, factor: float, tile: int) -> Callable[[Tensor], Tensor] | None:
    return partial(enlarge_with, model=upscaler, upscale=factor, tile=tile) if upscaler else None
