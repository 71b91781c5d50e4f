"""`codeformer evaluate`: the scores of folders of restored images, or of what a network makes of degraded ones."""

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from .. import checkpoints
from ..evaluation import metrics, report
from ..evaluation.likeness import Likeness
from ..recognition import Recogniser
from ..runtime.atomic_write import refuse_unwritable
from .arguments import Arguments
from .evaluation_images import Sample, Samples, listed, of_folders, of_network, read
from .models import obtain
from .networks import device_of, find_detector, load_network

#: Metrics by which the best and the worst images are chosen, the first that is known.
RANKED_BY = ("LPIPS", "LPIPS-VGG", "PSNR", "NIQE")

#: Below so many images the FID depends on their number more than on their quality.
FEW_FOR_FID = 2000

#: The set that the FID compares with.
_REAL = ""


def run(arguments: Arguments) -> int:
    """The exit status: 0 scored, 1 something failed."""
    try:
        if "out" in arguments.typed:
            refuse_unwritable([arguments.out])
        device = device_of(arguments.device)
        samples = of_network(arguments, device) if arguments.research.degrade else of_folders(arguments)
        scores, missing = _metrics(arguments, device, samples.has_truth)
        rows, whole = _scored(arguments, device, samples, scores, missing)
        averages = {name: report.means(rows[name], whole.get(name, {})) for name in rows}
        for metric in list(next(iter(averages.values()))):
            if all(math.isnan(row[metric].value) for row in averages.values()):
                missing[metric] = metrics.WITHOUT_VALUE[metric]
                averages = {name: {k: v for k, v in row.items() if k != metric} for name, row in averages.items()}
        if not arguments.quiet:
            count = len(samples.names)
            for note in samples.notes():
                print(note, file=sys.stderr)
            print(f"{count} image{'' if count == 1 else 's'}. Means [95 % confidence intervals].\n\n{report.table(averages)}\n")
            for name, why in missing.items():
                print(f"{name} is left out: it {why}.")
            if any("FID" in row for row in averages.values()) and count < FEW_FOR_FID:
                print(f"FID of fewer than {FEW_FOR_FID} images depends on their number: compare it with that of as many only.")
            if missing.keys() & metrics.WEIGHTS.keys():
                print(f"Put such files into {checkpoints.places()[-1]}, or into a folder that you name with --weights.")
        if "out" in arguments.typed:
            _write(arguments, samples, rows, averages, missing)
    except (OSError, ValueError, ImportError) as error:
        print(f"codeformer evaluate: {error}", file=sys.stderr)
        return 1
    return 0


def _metrics(arguments: Arguments, device: torch.device, has_truth: bool) -> tuple[dict[str, metrics.Score], dict[str, str]]:
    """What can be computed, and what each of the others lacks."""
    scores, missing = metrics.scores(lambda file: _find(file, arguments), device, has_truth)
    if has_truth:
        path = obtain({"detector": arguments.detector or find_detector(arguments)}, arguments)[0]
        detector = load_network(path, "detector", "", device)
        recogniser = _recogniser(arguments, device)
        if recogniser is None:
            missing["identity"] = "needs a recogniser: pip install 'codeformer-suite[people]', or name one with --recogniser"
        scores["landmarks"] = Likeness(detector, recogniser)
    return scores, missing


def _recogniser(arguments: Arguments, device: torch.device) -> Recogniser | None:
    """The one that was asked for, or dlib's where it is installed."""
    if name := arguments.research.recogniser:
        return load_network(obtain({"recogniser": name}, arguments)[0], "recogniser", "", device)
    try:
        path = checkpoints.find("dlib-recogniser", arguments.weights)
        return checkpoints.load(path) if path else None
    except ImportError:
        return None


def _find(file: str, arguments: Arguments) -> Path | None:
    """A file of weights in our folders, or where torch.hub keeps what torchvision has downloaded for other programs."""
    hub = Path(torch.hub.get_dir()) / "checkpoints" / file
    return checkpoints.find(file, arguments.weights) or (hub if os.path.isfile(hub) else None)


def _scored(
    arguments: Arguments,
    device: torch.device,
    samples: Samples,
    scores: Mapping[str, metrics.Score],
    missing: dict[str, str],
) -> tuple[dict[str, dict[str, dict[str, float]]], dict[str, dict[str, float]]]:
    """Set -> image -> metric -> value, and set -> metric of the whole set -> value."""
    reference, hidden = arguments.research.reference, arguments.quiet or None
    rows: dict[str, dict[str, dict[str, float]]] = {name: {} for name in samples.sets}
    features: dict[str, list[Tensor]] = {name: [] for name in (_REAL, *samples.sets)}
    inception = None
    if samples.has_truth or reference:
        try:
            inception = metrics.Inception(metrics.weights("FID", lambda file: _find(file, arguments)), device)
        except metrics.Unavailable as error:
            missing["FID"] = str(error)
    if not (scores or inception):
        raise ValueError("\n".join(["no metric can be computed:", *(f"{name} {why}" for name, why in missing.items())]))
    with torch.inference_mode():
        for name in tqdm(samples.names, unit="image", disable=hidden):
            sample = samples.load(name)
            truth = None if sample.truth is None else sample.truth.to(device)
            for one, image in sample.images.items():
                image = image.to(device)
                found = [score(image, image if truth is None else truth) for score in scores.values()]
                rows[one][name] = {metric: value for values in found for metric, value in values.items()}
                if inception:
                    features[one].append(inception(image))
            if inception and truth is not None and not reference:
                features[_REAL].append(inception(truth))
        if inception and reference:
            for path in tqdm(listed(reference).values(), unit="image", disable=hidden, desc="reference"):
                features[_REAL].append(inception(read(path, arguments.research.scored_side).to(device)))
    if not inception:
        return rows, {}
    real = torch.cat(features.pop(_REAL))
    return rows, {name: {"FID": metrics.frechet(torch.cat(points), real)} for name, points in features.items()}


def _write(
    arguments: Arguments,
    samples: Samples,
    rows: Mapping[str, report.Scores],
    averages: Mapping[str, Mapping[str, report.Mean]],
    missing: Mapping[str, str],
) -> None:
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if (out / "scores.json").exists():  # of an earlier run, which may have drawn what this one does not
        for name in ("sheet.png", "plot.png"):
            (out / name).unlink(missing_ok=True)
    report.write_csv(rows, out / "scores.csv")
    about = {"settings": {"model": arguments.model, **asdict(arguments.research)}, "missing": missing}
    report.write_json(rows, averages, about, out / "scores.json")
    written = ["scores.csv", "scores.json"]
    restored = [name for name in rows if name not in ("input", "degraded")]
    metric = next((name for name in RANKED_BY if name in averages[restored[0]]), None)
    chosen = report.best_median_worst(rows[restored[0]], metric) if metric else []
    if metric and chosen:
        lines = [_line(samples.load(name), rows, metric) for name in chosen]
        report.write_sheet(lines, out / "sheet.png")
        written.append("sheet.png")
    if len(restored) > 1:
        shown = {name: averages[name] for name in restored}
        report.write_plot(shown, samples.fidelities or restored, "w" if samples.fidelities else "", out / "plot.png")
        written.append("plot.png")
    if not arguments.quiet:
        print(f"-> {', '.join(str(out / name) for name in written)}")


def _line(sample: Sample, rows: Mapping[str, report.Scores], metric: str) -> list[tuple[str, Tensor]]:
    """An image in every set, with its score, and its truth."""
    shown = [(f"{name}: {metric} {rows[name][sample.name][metric]:.3g}", image) for name, image in sample.images.items()]
    return shown if sample.truth is None else [*shown, (sample.name, sample.truth)]
