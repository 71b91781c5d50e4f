"""The paper's claims, measured on held-out faces. Needs the extra [evaluate], see docs/training.md.

python -m benchmarks.claims runs/starter-3/network.pth runs/starter-1/network.pth faces claims.md
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import default_rng
from torch import Tensor

from codeformer_core import checkpoints
from codeformer_core.evaluation.metrics import Unavailable, frechet, psnr
from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.vqgan import Encoder
from codeformer_core.training.codes import nearest
from codeformer_core.training.config import Degradation
from codeformer_core.training.config_file import read_recipe
from codeformer_core.training.dataset import read_face, resize_face, split, to_tensor
from codeformer_core.training.degrade import degrade_small
from codeformer_core.training.saving import save_sheet

from .metrics import crispness, patches, ssim

#: The paper's whole ranges, and the severe half of them.
DEGRADED = {"any": read_recipe("celeba-test"), "severe": read_recipe("severe")}

#: Fidelities that are compared.
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)

#: Row -> column -> mean over all faces; in the columns of `AS_A_SET` the Fréchet distance of all faces together.
Rows = dict[str, dict[str, float]]

#: Fréchet distances between the set of faces and the clear ones: of stage I's features, and of patches of 8 x 8 pixels.
AS_A_SET = ("set, features", "set, patches")


class EvaluationFaces:
    """Held-out faces, clear and degraded (seeded).

    Args:
        files: the faces.
        side: S.
        degradation: its ranges.

    Attributes:
        clear: (N, 3, S, S) in [0, 1].
        linear, cubic: (N, 3, S, S) in [0, 1], the degraded faces upsampled, bilinear (which networks get) and bicubic.
    """

    def __init__(self, files: list[Path], side: int, degradation: Degradation) -> None:
        clear = [resize_face(read_face(file), side) for file in files]
        small = [degrade_small(face, degradation, default_rng(number)) for number, face in enumerate(clear)]

        def upsampled(interpolation: int) -> list[np.ndarray]:
            return [np.clip(cv2.resize(face, (side, side), interpolation=interpolation), 0, 1) for face in small]

        versions = (clear, upsampled(cv2.INTER_LINEAR), upsampled(cv2.INTER_CUBIC))
        self.clear, self.linear, self.cubic = (_unit(to_tensor(images)) for images in versions)


def measure(network: CodeFormer, encoder: Encoder, files: list[Path]) -> dict[str, Rows]:
    """The tables of the four claims, (a) to (d).

    Args:
        network: a restorer from stage III.
        encoder: stage I's, for the true codes and for features.
        files: faces that neither was trained on.
    """
    tables: dict[str, list[tuple[str, dict[str, Tensor]]]] = {name: [] for name in (*"abcd", "clear")}
    for kind, degradation in DEGRADED.items():
        faces = EvaluationFaces(files, network.side, degradation)
        for clear, linear, cubic in _parts(faces):
            ideal = encoder(clear * 2 - 1)[0]
            true = nearest(ideal, network.quantize.embedding.weight)
            own, kept = network.encode(linear * 2 - 1, keep=network.arch.fuse_sides)
            predicted = network.predict(own).argmax(dim=2)
            seen = encoder(linear * 2 - 1)[0]
            for name, codes in (
                ("transformer", predicted),
                ("nearest entry, encoder of stage III", nearest(own, network.quantize.embedding.weight)),
                ("nearest entry, encoder of stage I", nearest(seen, network.quantize.embedding.weight)),
            ):
                tables["a"].append((name, {kind: (codes == true).float().mean(dim=1) * 100}))

            def scores(images: Tensor, clear: Tensor = clear, ideal: Tensor = ideal) -> dict[str, Tensor]:
                features = encoder(images * 2 - 1)[0]
                return {
                    "PSNR": psnr(images, clear),
                    "SSIM": ssim(images, clear),
                    "crispness": crispness(images, clear),
                    "distance": (features - ideal).square().mean(dim=(1, 2, 3)),
                } | _points(features, images)

            restored = {w: _unit(network.decode(predicted, own, kept if w else {}, w)).clamp(0, 1) for w in WEIGHTS}
            if kind == "any":
                tables["b"] += [(f"w = {w}", scores(restored[w])) for w in WEIGHTS]
                continue
            tables["clear"].append(("", _points(ideal, clear)))
            images = {"degraded (bilinear)": linear, "bicubic": cubic} | {
                f"restored, w = {w}": restored[w] for w in (0.0, 0.5, 1.0)
            }
            tables["c"] += [(name, scores(image)) for name, image in images.items()]
            latents = {"codes, predicted": network.quantize(predicted, like=own), "continuous latent": own}
            tables["d"] += [(name, scores(_unit(network.generator(x)).clamp(0, 1))) for name, x in latents.items()]
    clear = _gathered(tables.pop("clear"))[""]
    return {name: _means(_gathered(rows), clear) for name, rows in tables.items()}


def _points(features: Tensor, images: Tensor) -> dict[str, Tensor]:
    """The samples (N, T, D) of which `AS_A_SET` is the distance, of images (N, 3, S, S) with features (N, C, s, s)."""
    return dict(zip(AS_A_SET, (features.flatten(2).transpose(1, 2), patches(images)), strict=True))


def _unit(x: Tensor) -> Tensor:
    return (x + 1) / 2


def _parts(faces: EvaluationFaces, batch: int = 8) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    return zip(faces.clear.split(batch), faces.linear.split(batch), faces.cubic.split(batch), strict=True)


def _gathered(rows: list[tuple[str, dict[str, Tensor]]]) -> dict[str, dict[str, Tensor]]:
    gathered: dict[str, dict[str, list[Tensor]]] = {}
    for name, columns in rows:
        for column, values in columns.items():
            gathered.setdefault(name, {}).setdefault(column, []).append(values)
    return {name: {column: torch.cat(parts) for column, parts in columns.items()} for name, columns in gathered.items()}


def _means(rows: Mapping[str, Mapping[str, Tensor]], clear: Mapping[str, Tensor]) -> Rows:
    def one(column: str, values: Tensor) -> float:
        if column in AS_A_SET:
            return frechet(values.flatten(0, 1), clear[column].flatten(0, 1))
        return values.mean().item()

    return {name: {column: one(column, values) for column, values in columns.items()} for name, columns in rows.items()}


def holds(tables: Mapping[str, Rows]) -> dict[str, bool]:
    """Whether each claim holds for these numbers.

    (a) the transformer agrees with the true codes more than 1.5 times as often as any nearest-entry look-up; (b) PSNR rises and
    the distance falls with every step of w; (c) at w = 0.5 and 1 all three scores beat both ways of upsampling; (d) images from
    the discrete latent are closer in distribution to clear faces than those from the continuous one. Scores of single faces
    favour the continuous one, as they favour blur.
    """
    a, b, c, d = (tables[name] for name in "abcd")
    looked_up = {kind: max(row[kind] for name, row in a.items() if name != "transformer") for kind in DEGRADED}
    by_weight = [b[f"w = {w}"] for w in WEIGHTS]
    given = [c["degraded (bilinear)"], c["bicubic"]]
    restored = [c["restored, w = 0.5"], c["restored, w = 1.0"]]
    discrete, continuous = d["codes, predicted"], d["continuous latent"]
    return {
        "a": all(a["transformer"][kind] > 1.5 * looked_up[kind] for kind in DEGRADED),
        "b": all(
            x["PSNR"] < y["PSNR"] and x["distance"] > y["distance"] for x, y in zip(by_weight, by_weight[1:], strict=False)
        ),
        "c": all(new[s] > old[s] for new in restored for old in given for s in ("PSNR", "SSIM", "crispness")),
        "d": all(discrete[column] < continuous[column] for column in AS_A_SET),
    }


def markdown(tables: Mapping[str, Rows], faces: int) -> str:
    """The tables as Markdown."""
    heads = {
        "a": "(a) Agreement with the true codes, in percent",
        "b": "(b) Fidelity, over the paper's whole ranges",
        "c": "(c) Against enlarging, at severe degradation",
        "d": "(d) Discrete and continuous latent, without fusion, at severe degradation",
    }
    true = holds(tables)
    lines = [f"Means over {faces} faces that were held out.", ""]
    for name, head in heads.items():
        columns = list(next(iter(tables[name].values())))
        lines += [f"### {head}: {'holds' if true[name] else 'does not hold'}", ""]
        lines += [f"| | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]
        lines += [f"| {row} | {' | '.join(f'{values[c]:.4g}' for c in columns)} |" for row, values in tables[name].items()]
        lines.append("")
    return "\n".join(lines)


def sheet(network: CodeFormer, files: list[Path], path: Path, kind: str = "severe") -> None:
    """A contact sheet, one face per column: clear, degraded, bicubic, and restored with w = 0, 0.5 and 1."""
    faces = EvaluationFaces(files, network.side, DEGRADED[kind])
    restored = [network.restore(faces.linear, w) for w in (0.0, 0.5, 1.0)]
    save_sheet([images * 2 - 1 for images in (faces.clear, faces.linear, faces.cubic, *restored)], path)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description="Measure the paper's claims on held-out faces.")
    for name, what in (
        ("restorer", "network.pth of stage III, or the shipped file"),
        ("codebook", "network.pth of stage I"),
        ("faces", "folder of aligned faces"),
        ("out", "a Markdown file"),
    ):
        parser.add_argument(name, type=Path, help=what)
    parser.add_argument("--hold-out", type=int, default=10, help="every n-th face by name is held out (default 10)")
    return parser


def write(restorer: Path, codebook: Path, faces: Path, out: Path, hold_out: int) -> None:
    """Write the tables and two contact sheets beside them; the arguments are those of the command.

    Raises:
        Unavailable: torchmetrics is not installed.
    """
    network = checkpoints.load(restorer)
    encoder = Encoder(network.arch).eval()
    state = checkpoints.read(codebook)
    encoder.load_state_dict(
        {name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")}
    )
    files = split(faces, hold_out)[1]
    with torch.inference_mode():
        tables = measure(network, encoder, files)
        out.write_text(markdown(tables, len(files)), encoding="utf-8")
        for kind in DEGRADED:
            sheet(network, files[:12], out.with_name(f"{out.stem}_{kind}.png"), kind)


def main() -> None:
    """The command."""
    args = parser().parse_args()
    try:
        write(args.restorer, args.codebook, args.faces, args.out, args.hold_out)
    except Unavailable as error:  # torchmetrics
        parser().error(str(error))


if __name__ == "__main__":
    main()
