"""`python -m benchmarks curves`: how time and memory grow with faces, image size, video length and batch, and a plot of it."""

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from codeformer_core.runtime.atomic_write import refuse_existing, write_bytes

from . import arguments, report
from .alternate import measure
from .cases import Case
from .workers import Setting, Worker

#: Values of the axes: faces, widths of images in pixels (4:3), frames, crops; and --tiny's.
FULL = (1, 2, 4, 8, 16), (1000, 2000, 2800, 3400, 4000), (10, 20, 40, 80), (1, 2, 4, 8, 16)
TINY = (1, 2), (160, 200), (2, 4), (1, 2)


class Curve(NamedTuple):
    """Measurements that differ in one number.

    Attributes:
        title, unit: what is varied.
        cases: the number -> what is measured.
    """

    title: str
    unit: str
    cases: Mapping[float, Case]


class Points(NamedTuple):
    """What was measured for a curve: seconds, and peak memory in MiB, NaN where unknown."""

    x: list[float]
    seconds: list[float]
    memory: list[float]

    @property
    def line(self) -> tuple[float, float, float]:
        """Start and slope of the seconds' line by least squares, and the share of their variance that it explains (R²)."""
        slope, start = np.polyfit(self.x, self.seconds, 1)
        left = np.subtract(self.seconds, start + slope * np.array(self.x))
        return float(start), float(slope), float(1 - np.var(left) / np.var(self.seconds))


def curves(device: str, tiny: bool) -> Iterator[Curve]:
    """What is measured: with the starter model and MTCNN on a CPU, with networks of the released sizes elsewhere."""
    faces, widths, lengths, batches = TINY if tiny else FULL
    hd, small = ((160, 120), (160, 120)) if tiny else ((1920, 1080), (320, 240))
    precision = "exact" if device == "cpu" else "balanced"

    def image(size: tuple[int, int], count: int) -> Case:
        return Case("picture", device, precision, size, count)

    sizes = [(width, width * 3 // 4) for width in widths]
    videos: dict[float, Case] = {count: Case("fixed video", device, precision, small, 1, frames=count) for count in lengths}
    yield Curve(f"faces in an image of {hd[0]} x {hd[1]}", "face", {count: image(hd, count) for count in faces})
    yield Curve("size of an image with 4 faces", "megapixel", {size[0] * size[1] / 1e6: image(size, 4) for size in sizes})
    yield Curve(f"length of a video of {small[0]} x {small[1]} with one face", "frame", videos)
    yield Curve("batch", "crop", {count: Case("restore", device, precision, batch=count) for count in batches})


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    command = argparse.ArgumentParser(prog="python -m benchmarks curves", description=__doc__, allow_abbrev=False)
    add = command.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="for the plot, scaling.svg")
    add("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    add("--tiny", action="store_true", help="two points a curve and tiny networks, to try the command itself")
    add("--overwrite", action="store_true", help="replace scaling.svg if it exists")
    add("-q", "--quiet", action="store_true", help="no progress bar")
    return command


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Returns:
        0 if everything was measured, 1 if not.

    Raises:
        SystemExit: wrong usage.
    """
    command = parser()
    args = command.parse_args(argv)
    with arguments.wrong_usage(command):
        (device,) = arguments.devices(args.device)
        if not args.overwrite:
            refuse_existing(args.out / "scaling.svg")
    wanted = list(curves(device, args.tiny))
    try:
        measured = _measured(wanted, device, args)
    except RuntimeError as error:
        print(f"benchmarks curves: {error}", file=sys.stderr)
        return 1
    print(report.heading(report.about([device], "as-it-comes")).rpartition("\n")[0])
    for curve, points in zip(wanted, measured, strict=True):
        rows = [[f"{x:.4g}", f"{seconds:.3f} s", f"{memory:.0f} MiB"] for x, seconds, memory in zip(*points, strict=True)]
        print(f"\n{curve.title}: {words(curve, points)}", report.aligned_text(rows, {0, 1, 2}), sep="\n")
    args.out.mkdir(parents=True, exist_ok=True)
    write_bytes(args.out / "scaling.svg", svg(wanted, measured), args.overwrite)
    return 0


def _measured(wanted: Sequence[Curve], device: str, args: argparse.Namespace) -> list[Points]:
    """The fastest of three rounds of each case, after one to warm up."""
    found = [Points([], [], []) for _ in wanted]
    with (
        tempfile.TemporaryDirectory(prefix="codeformer-bench-") as folder,
        Worker(Setting(device, Path(folder), args.tiny, None, {}, bundled=device == "cpu")) as worker,
        tqdm(total=sum(len(curve.cases) for curve in wanted), unit="case", disable=args.quiet or None, leave=False) as bar,
    ):
        for curve, points in zip(wanted, found, strict=True):
            for x, case in curve.cases.items():
                timing = measure(case, [worker], 1 if args.tiny else 3, 60)[0].ours
                points.x.append(x)
                points.seconds.append(timing.least * (case.frames or 1))
                points.memory.append(float("nan") if timing.peak is None else timing.peak / 2**20)
                bar.update()
    return found


def words(curve: Curve, points: Points) -> str:
    """The line through the seconds of a curve."""
    start, slope, explained = points.line
    return f"{start:.2g} s + {slope:.2g} s a {curve.unit}, R² = {explained:.3f}"


def svg(wanted: Sequence[Curve], measured: Sequence[Points]) -> bytes:
    """A panel for each curve: seconds with the line through them, and peak memory in another colour on the right axis."""
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot, which wants a display

    figure: Any = Figure(figsize=(9, 6.4), layout="constrained", facecolor="white")  # white: readable on dark pages too
    for panel, curve, points in zip(figure.subplots(2, 2).flat, wanted, measured, strict=True):
        (start, slope, _), right = points.line, panel.twinx()
        panel.plot(points.x, points.seconds, "o", color="#1668dc")
        panel.plot(points.x, start + slope * np.array(points.x), color="#1668dc")
        right.plot(points.x, points.memory, "s--", color="#d4380d", markersize=4)
        panel.set(title=curve.title, xlabel=f"{curve.unit}s: {words(curve, points)}", xlim=(0, None))
        for axis, label, colour in ((panel, "seconds", "#1668dc"), (right, "MiB", "#d4380d")):
            axis.set_ylim(0, None)
            axis.set_ylabel(label, color=colour)
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "codeformer", "svg.fonttype": "none"}):  # the same bytes for the same numbers
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
