"""The sections of `python -m benchmarks gpu`: what each measures, and what it expects."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from codeformer_core.options import FixOptions
from codeformer_core.pipeline import fix_faces

from . import folder, layouts, parity, synthetic_weights
from .alternate import Row, measure
from .cases import PRECISIONS, Case
from .lines import Line
from .resources import FIDELITY, Resources, WithKnownFaces
from .roofline import Rates, Roofline
from .transfers import Transfers
from .workers import Worker

ROOT = Path(__file__).resolve().parent.parent

HD, LARGE = (1920, 1080), (4000, 3000)

#: Copies and waits that an image may cost between being on the device and being fixed there, whatever its number of faces: the
#: detector's answers; whether the image is grey; whether what the network drew and what is pasted are finite.
MOST_WAITS = 3


class Run(NamedTuple):
    """What the sections share.

    Attributes:
        device: as torch calls it.
        tiny: tiny networks, images and clips, to try the command itself.
        folder: of synthetic weights and clips.
        workers: the processes that measure, see `alternate.measure`.
        deadline: no case begins after this time of `time.monotonic`.
    """

    device: str
    tiny: bool
    folder: Path
    workers: Sequence[Worker]
    deadline: float


#: What a section finds: lines, and sentences about what could not be measured.
Found = Iterator[Line | str]


def _parity(run: Run) -> Found:
    return parity.lines(torch.device(run.device))


def _tests(run: Run) -> Found:
    """The tests of devices, on this one where it is CUDA, else on the simulated device."""
    environment = os.environ | ({"CODEFORMER_TEST_DEVICE": "cuda"} if run.device.startswith("cuda") else {})
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_devices.py"]
    done = subprocess.run(command + ["-k", "plain"] * run.tiny, cwd=ROOT, env=environment, capture_output=True, text=True)
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", done.stdout)}
    yield Line("tests", "tests/test_devices.py", counts.get("passed", 0), "passed", "all", done.returncode == 0)
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            yield line


def _measured(run: Run, section: str, cases: Iterable[Case], line: Callable[[Row], Line]) -> Found:
    for case in cases:
        if time.monotonic() > run.deadline:
            yield f"{case}: not measured, the time is up (--minutes)"
            continue
        try:
            rows = measure(case, run.workers, *((1, 0) if run.tiny else (9, 4)))
        except RuntimeError as error:
            yield f"{case}: {error}"
            continue
        for row in rows:
            yield line(row)
            if row.official:
                yield Line(section, f"{row.step} {case}: times as fast as the official program", row.ratio or 0, "")


def _faces_per_second(section: str) -> Callable[[Row], Line]:
    def line(row: Row) -> Line:
        if row.step == "compile":
            return Line(section, f"{row.step} {row.case.precision} batch {row.case.batch}", row.ours.median, "s")
        count = row.case.batch or 1
        return Line(
            section,
            f"{row.step}, {row.case.precision}, batch {count}",
            count / row.ours.median,
            "faces/s",
            peak=row.ours.peak,
        )

    return line


def _milliseconds(section: str) -> Callable[[Row], Line]:
    def line(row: Row) -> Line:
        faces = f", faces {row.case.faces}" if row.case.faces else ""
        precision = f", {row.case.precision}" if row.case.precision else ""
        what = f"{row.step}, {row.case.size_text}{faces}{precision}"
        return Line(section, what, row.ours.median * 1000, "ms", peak=row.ours.peak)

    return line


def _restore(run: Run) -> Found:
    batches = (1, 2) if run.tiny else (1, 2, 4, 8, 16)
    cases = [Case("restore", run.device, precision=precision, batch=batch) for precision in PRECISIONS for batch in batches]
    yield from _measured(run, "restore", cases, _faces_per_second("restore"))


@torch.inference_mode()
def _roofline(run: Run) -> Found:
    """What the device could do: nothing that is measured can be faster, but for fused operations, which need less traffic."""
    device, batch = torch.device(run.device), 1 if run.tiny else 8
    rates, resources = Rates(device), Resources(run.device, run.folder, run.tiny)
    for precision in PRECISIONS:
        network = resources.network(synthetic_weights.RESTORER, precision)
        crops = resources.crops(Case("restore", run.device, batch=batch), network.side)
        with Roofline(rates) as roofline:
            network.restore(crops, FIDELITY)
        where = f"{precision}, batch {batch}"
        yield Line("roofline", f"operations of a face, {where}", roofline.operations / batch / 1e9, "GFLOP")
        yield Line("roofline", f"traffic of a face, {where}", roofline.bytes / batch / 1e9, "GB")
        yield Line("roofline", f"restore at the device's rates, {where}", batch / roofline.seconds, "faces/s")
    for dtype in (torch.float32, torch.bfloat16):
        yield Line("roofline", f"matrix product, {dtype}", rates.operations(dtype) / 1e12, "TFLOP/s")
    yield Line("roofline", "copy", rates.bandwidth() / 1e9, "GB/s")


def _steps(run: Run) -> Found:
    sizes, faces = (((320, 240),), (1,)) if run.tiny else ((HD, LARGE), (1, 4, 20))
    cases = [Case("detect", run.device, size=size) for size in sizes]
    cases += [
        Case(name, run.device, size=size, faces=count) for size in sizes for count in faces for name in ("align", "paste")
    ]
    yield from _measured(run, "steps", cases, _milliseconds("steps"))


def _whole(run: Run) -> Found:
    size, frames, crowds = ((320, 240), 2, (1, 2)) if run.tiny else (HD, 120, (1, 12))
    cases = [Case("picture", run.device, precision=one, size=size, faces=4) for one in ("balanced", "exact")]
    cases += [Case("fixed video", run.device, precision="balanced", size=size, faces=count, frames=frames) for count in crowds]
    yield from _measured(run, "whole", cases, _milliseconds("whole"))


def _folder(run: Run) -> Found:
    if time.monotonic() > run.deadline:
        yield "not measured, the time is up (--minutes)"
        return
    resources = Resources(run.device, run.folder, run.tiny, bundled=run.device == "cpu")
    yield from folder.measure(resources, folder.TINY if run.tiny else folder.FULL)


@torch.inference_mode()
def _transfers(run: Run) -> Found:
    """How often an image makes the host wait for the device."""
    resources, size = Resources(run.device, run.folder, run.tiny), (320, 240) if run.tiny else HD
    for faces in (1, 8):
        scene = resources.scene(Case("picture", run.device, size=size, faces=faces))
        detector = WithKnownFaces(resources.network(synthetic_weights.DETECTOR), scene.faces)
        restorer = resources.network(synthetic_weights.RESTORER)
        options = FixOptions(fidelity=FIDELITY, batch=8, always=True)
        with Transfers() as counted:
            fix_faces(scene.image, detector, restorer, options)
        count, on_cpu = sum(copy.waits for copy in counted.copies), run.device == "cpu"
        yield Line(
            "transfers",
            f"waits for the device in an image, faces {faces}",
            count,
            "",
            "" if on_cpu else f"at most {MOST_WAITS}",
            None if on_cpu else count <= MOST_WAITS,
        )


@torch.inference_mode()
def _layouts(run: Run) -> Found:
    """The network in each memory layout, with each group normalisation."""
    resources = Resources(run.device, run.folder, run.tiny)
    for precision in ("exact",) if run.tiny else ("balanced", "exact"):
        for batch in (1,) if run.tiny else (1, 8):
            if time.monotonic() > run.deadline:
                yield f"{precision}, batch {batch}: not measured, the time is up (--minutes)"
                continue
            network = resources.network(synthetic_weights.RESTORER, precision)
            crops = resources.crops(Case("restore", run.device, batch=batch), network.side)
            yield from layouts.lines(network, crops, precision, 1 if run.tiny else 5)


def _graph(run: Run) -> Found:
    if not run.device.startswith("cuda"):
        yield "CUDA graphs need a CUDA device"
        return
    cases = [
        Case("graph", run.device, precision=precision, batch=batch) for precision in ("balanced", "fast") for batch in (1, 8)
    ]
    yield from _measured(run, "graph", cases, _faces_per_second("graph"))


def _compiled(run: Run) -> Found:
    cases = [Case("compiled", run.device, precision="balanced", batch=batch) for batch in (8, 1)]
    yield from _measured(run, "compiled", cases, _faces_per_second("compiled"))


#: Name -> section, the most important first: the time may be up before the last.
SECTIONS: dict[str, Callable[[Run], Found]] = {
    "parity": _parity,
    "restore": _restore,
    "whole": _whole,
    "steps": _steps,
    "transfers": _transfers,
    "roofline": _roofline,
    "layouts": _layouts,
    "folder": _folder,
    "graph": _graph,
    "tests": _tests,
    "compiled": _compiled,
}
