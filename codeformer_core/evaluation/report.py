"""What is said of scores: means with confidence intervals, a table, files for other programs, a contact sheet, a plot."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import image_io
from ..image_io import ImageFile
from ..imaging.overlay import draw_labels
from ..imaging.resize import resize
from ..runtime.atomic_write import write_bytes
from .metrics import HIGHER_IS_BETTER

#: Random samples of the images, of which the confidence interval of a mean is taken.
RESAMPLES = 2000

#: Image -> metric -> value; NaN where it has none.
Scores = Mapping[str, Mapping[str, float]]


class Mean(NamedTuple):
    """A mean over images with its 95 % confidence interval; the bounds are NaN where there is none."""

    value: float
    low: float
    high: float
    images: int


def mean(values: Sequence[float]) -> Mean:
    """The mean of the values that are not NaN; the interval by bootstrap (percentiles; seeded)."""
    known = np.array([value for value in values if not math.isnan(value)])
    if len(known) < 2:
        return Mean(float(known[0]) if len(known) else math.nan, math.nan, math.nan, len(known))
    drawn = np.random.default_rng(0).integers(0, len(known), (RESAMPLES, len(known)))
    low, high = np.percentile(known[drawn].mean(axis=1), [2.5, 97.5])
    return Mean(float(known.mean()), float(low), float(high), len(known))


def means(scores: Scores, whole: Mapping[str, float]) -> dict[str, Mean]:
    """Metric -> mean over the images, and what is known of the set as a `whole`, in the order of `HIGHER_IS_BETTER`."""
    found = {name for row in scores.values() for name in row}
    of_sets = {name: Mean(value, math.nan, math.nan, len(scores)) for name, value in whole.items()}
    of_images = {name: mean([row.get(name, math.nan) for row in scores.values()]) for name in found}
    known = of_images | of_sets
    return {name: known[name] for name in HIGHER_IS_BETTER if name in known}


def table(sets: Mapping[str, Mapping[str, Mean]]) -> str:
    """The means of each set in a Markdown table; arrows show where better is."""
    names = list(next(iter(sets.values())))
    heads = [f"{name} {'↑' if HIGHER_IS_BETTER[name] else '↓'}" for name in names]
    lines = [["", *heads], *([name, *(_cell(row[one]) for one in names)] for name, row in sets.items())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads) + 1)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def _cell(one: Mean) -> str:
    if math.isnan(one.value):
        return "–"
    return f"{one.value:.4g}" + ("" if math.isnan(one.low) else f" [{one.low:.4g}, {one.high:.4g}]")


def write_csv(sets: Mapping[str, Scores], path: Path) -> None:
    """A line for each image of each set; empty where there is no value."""
    names = [name for name in HIGHER_IS_BETTER if any(name in row for scores in sets.values() for row in scores.values())]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "image", *names])
    for name, scores in sets.items():
        for image, row in scores.items():
            values = [row.get(one, math.nan) for one in names]
            writer.writerow([name, image, *("" if math.isnan(value) else f"{value:.6g}" for value in values)])
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"), overwrite=True)


def write_json(
    sets: Mapping[str, Scores], averages: Mapping[str, Mapping[str, Mean]], about: Mapping[str, Any], path: Path
) -> None:
    """Everything, with how it was measured; null where there is no value."""
    content = {"format": "codeformer evaluation", "version": 1, **about}
    content["sets"] = {
        name: {
            "means": {metric: one._asdict() for metric, one in averages[name].items()},
            "images": {image: dict(row) for image, row in scores.items()},
        }
        for name, scores in sets.items()
    }
    text = json.dumps(_without_nan(content), indent=1, ensure_ascii=False, default=str)
    write_bytes(path, text.encode("utf-8", "backslashreplace"), overwrite=True)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def best_median_worst(scores: Scores, metric: str) -> list[str]:
    """The names of three images by a metric; fewer where there are fewer."""
    known = {name: row[metric] for name, row in scores.items() if not math.isnan(row.get(metric, math.nan))}
    ranked = sorted(known, key=lambda name: known[name], reverse=HIGHER_IS_BETTER[metric])
    return list(dict.fromkeys(ranked[at] for at in (0, len(ranked) // 2, -1))) if ranked else []


def write_sheet(rows: Sequence[Sequence[tuple[str, Tensor]]], path: Path, side: int = 256) -> None:
    """A contact sheet: rows of images (1, 3, H, W) in [0, 1] with labels; all are shown `side` pixels high."""
    lines = []
    for row in rows:
        shown = [
            draw_labels(resize(image.cpu(), side, round(side * image.shape[3] / image.shape[2])), [label])
            for label, image in row
        ]
        lines.append(torch.cat(shown, dim=3))
    width = max(line.shape[3] for line in lines)
    padded = [torch.nn.functional.pad(line, (0, width - line.shape[3])) for line in lines]
    image_io.write(ImageFile(torch.cat(padded, dim=2).clamp(0, 1)), path, overwrite=True)


def write_plot(averages: Mapping[str, Mapping[str, Mean]], at: Sequence[float] | Sequence[str], label: str, path: Path) -> None:
    """A panel for each metric: its mean and interval in each set, over the sets' places `at` on an axis with this label."""
    from matplotlib.figure import Figure  # not pyplot, which wants a display

    names = list(next(iter(averages.values())))
    figure = Figure(figsize=(3 * len(names), 3), layout="constrained")
    for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        points = [row[name] for row in averages.values()]
        errors = np.nan_to_num([[one.value - one.low, one.high - one.value] for one in points]).T
        panel.errorbar(at, [one.value for one in points], errors, marker="o", capsize=3)
        panel.set(title=f"{name} {'(higher is better)' if HIGHER_IS_BETTER[name] else '(lower is better)'}", xlabel=label)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    write_bytes(path, stream.getvalue(), overwrite=True)
