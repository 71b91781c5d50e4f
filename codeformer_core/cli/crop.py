"""`codeformer crop`: photos in, aligned faces out, one file each: what the training learns from."""

import sys
from argparse import Namespace

import torch
from tqdm import tqdm

from .. import image_io
from ..align import align
from ..faces import Detector
from ..image_io import ImageFile
from ..image_io.encode import FORMATS
from ..options import FixOptions
from ..pipeline import detect
from .choices import detection, mask_of, selection
from .contradictions import contradiction
from .jobs import PICTURES, Job, left_out, plan
from .models import obtain
from .networks import device_of, load_network
from .work import FAILURES


def run(args: Namespace) -> int:
    """The exit status: 0 everything done, 1 some pictures failed, 2 usage, 130 stopped by the user."""
    try:
        if wrong := contradiction(args, []):
            raise ValueError(wrong)
        if args.out.suffix.lower() in FORMATS:
            raise ValueError(f"{args.out} is the name of a picture: name a folder for the faces.")
        jobs = plan(args.paths, args.out, recursive=args.recursive, end="png", read=[args.inside] if args.inside else [])
        device = device_of(args.device)
    except ValueError as error:
        tqdm.write(f"codeformer crop: {error}", file=sys.stderr)
        return 2
    if note := left_out(args.paths, args.recursive, PICTURES):
        tqdm.write(f"Left out: {note}.", file=sys.stderr)
    try:
        path = obtain([args.detector], args.weights, args.download, args.quiet)[0]
        detector = load_network(path, "detector", "", device)
    except (OSError, ValueError) as error:
        tqdm.write(f"codeformer crop: {error}", file=sys.stderr)
        return 1
    faces, failures = 0, []
    with torch.inference_mode():
        for job in tqdm(jobs, unit="picture", disable=args.quiet or None):
            try:
                faces += _crops(job, args, detector, device)
            except FAILURES as error:
                failures.append(f"{job.source}: {error or type(error).__name__}")
            except KeyboardInterrupt:
                return 130
    if not args.quiet:
        tqdm.write(f"Faces: {faces} from {len(jobs) - len(failures)} of {len(jobs)} pictures -> {args.out}")
    for failure in failures:
        tqdm.write(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _crops(job: Job, args: Namespace, detector: Detector, device: torch.device) -> int:
    """Cut the faces of one picture out and write them; how many."""
    image = image_io.read(job.source).image.to(device)
    area = mask_of(args.inside, job, image)
    found, _ = detect(image, detector, FixOptions(detection=detection(args), selection=selection(args)), area)
    crops = align(image, found, args.side).crops
    job.target.parent.mkdir(parents=True, exist_ok=True)
    for number, crop in enumerate(crops, start=1):
        path = job.target.with_name(f"{job.target.stem}_{number:02d}.png")
        image_io.write(ImageFile(crop[None].cpu()), path, args.overwrite)
    return len(crops)
