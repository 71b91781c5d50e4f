"""The paper's own claims, measured on faces that a trained network has never seen.

python -m benchmarks.claims runs/starter-3/network.pth runs/starter-1/network.pth faces claims.md
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import default_rng
from torch import Tensor

from codeformer_core import checkpoints
from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.vqgan import Encoder
from codeformer_core.training.codes import nearest
from codeformer_core.training.config import Degradation
from codeformer_core.training.dataset import read_face, resize_face, split, to_tensor
from codeformer_core.training.degrade import degrade_small
from codeformer_core.training.metrics import crispness, frechet, patches, psnr, ssim
from codeformer_core.training.saving import save_sheet

#: The paper's whole ranges, and the severe half of them.
DEGRADED = {
    "any": Degradation(),
    "severe": Degradation(blur=(8.0, 15.0), shrink=(15.0, 30.0), noise=(10.0, 20.0), jpeg=(30.0, 60.0)),
}

#: Fidelities that are compared.
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)

#: Name of a row -> name of a column -> mean over all faces; or, of the columns below, the distance of all faces together.
Rows = dict[str, dict[str, float]]

#: The columns that compare the faces as a set with the clear ones: in stage I's features, and in patches of 8 x 8 pixels.
AS_A_SET = ("set, features", "set, patches")


class EvaluationFaces:
    """Faces that were held out, clear and degraded, each always in the same way.

    Args:
        files: the faces.
        side: S.
        how: how they are degraded.

    Attributes:
        clear, linear, cubic: (N, 3, S, S) in [0, 1]; the degraded face enlarged in two ways, of which networks get the first.
    """

    def __init__(self, files: list[Path], side: int, how: Degradation) -> None:
        clear = [resize_face(read_face(file), side) for file in files]
        small = [degrade_small(each, how, default_rng(number)) for number, each in enumerate(clear)]
        ways = [
            [cv2.resize(each, (side, side), interpolation=way) for each in small] for way in (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
        ]
        self.clear, self.linear, self.cubic = (_unit(to_tensor([np.clip(x, 0, 1) for x in each])) for each in (clear, *ways))


def measure(network: CodeFormer, encoder: Encoder, files: list[Path]) -> dict[str, Rows]:
    """The tables of the four claims, (a) to (d).

    Args:
        network: a restorer from stage III.
        encoder: stage I's, which says the true codes and measures features.
        files: faces that neither has learnt from.
    """
    tables: dict[str, list[tuple[str, dict[str, Tensor]]]] = {name: [] for name in (*"abcd", "clear")}
    for kind, how in DEGRADED.items():
        faces = EvaluationFaces(files, network.side, how)
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

            def scores(drawn: Tensor, clear: Tensor = clear, ideal: Tensor = ideal) -> dict[str, Tensor]:
                features = encoder(drawn * 2 - 1)[0]
                return {
                    "PSNR": psnr(drawn, clear),
                    "SSIM": ssim(drawn, clear),
                    "crispness": crispness(drawn, clear),
                    "distance": (features - ideal).square().mean(dim=(1, 2, 3)),
                } | _points(features, drawn)

            drawn = {w: _unit(network.decode(predicted, own, kept if w else {}, w)).clamp(0, 1) for w in WEIGHTS}
            if kind == "any":
                tables["b"] += [(f"w = {w}", scores(drawn[w])) for w in WEIGHTS]
                continue
            tables["clear"].append(("", _points(ideal, clear)))
            pictures = {"degraded (bilinear)": linear, "bicubic": cubic} | {
                f"restored, w = {w}": drawn[w] for w in (0.0, 0.5, 1.0)
            }
            tables["c"] += [(name, scores(each)) for name, each in pictures.items()]
            latents = {"codes, predicted": network.quantize(predicted, like=own), "continuous latent": own}
            tables["d"] += [(name, scores(_unit(network.generator(x)).clamp(0, 1))) for name, x in latents.items()]
    clear = _gathered(tables.pop("clear"))[""]
    return {name: _means(_gathered(rows), clear) for name, rows in tables.items()}


def _points(features: Tensor, pictures: Tensor) -> dict[str, Tensor]:
    """What `AS_A_SET` compares: points (N, T, D) of each of the pictures (N, 3, S, S), whose features are (N, C, s, s)."""
    return dict(zip(AS_A_SET, (features.flatten(2).transpose(1, 2), patches(pictures)), strict=True))


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
    """Whether each claim is true of these numbers.

    (a) the transformer agrees with the true codes at least half as often again as any look-up; (b) PSNR rises and the distance
    falls with every step of w; (c) at w = 0.5 and 1 all three scores beat both enlargements; (d) what the discrete latent draws
    is, as a set, nearer to what clear faces look like than what the continuous one draws. The likeness to each single face
    speaks for the continuous one, as it does for every blur; an artefact is what no clear face has.
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
    """The tables as text."""
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
    """Contact sheet, rows of faces the other: clear, degraded, bicubic, and restored with w = 0, 0.5 and 1."""
    faces = EvaluationFaces(files, network.side, DEGRADED[kind])
    draw: Callable[[float], Tensor] = lambda w: network.restore(faces.linear, w)  # noqa: E731
    save_sheet([x * 2 - 1 for x in (faces.clear, faces.linear, faces.cubic, draw(0.0), draw(0.5), draw(1.0))], path)


def main() -> None:
    """Measure, and write the tables and two contact sheets beside them."""
    parser = argparse.ArgumentParser(description="Measure the paper's claims on held-out faces.")
    for name, what in (
        ("restorer", "network.pth of stage III, or the shipped file"),
        ("codebook", "network.pth of stage I"),
        ("faces", "folder of aligned faces"),
        ("out", "a Markdown file"),
    ):
        parser.add_argument(name, type=Path, help=what)
    parser.add_argument("--hold-out", type=int, default=10, help="every so manyth face by name (default 10)")
    args = parser.parse_args()
    network = checkpoints.load(args.restorer)
    encoder = Encoder(network.arch).eval()
    state = checkpoints.read(args.codebook)
    encoder.load_state_dict({name[8:]: value for name, value in state.items() if name.startswith("encoder.")})
    files = split(args.faces, args.hold_out)[1]
    with torch.inference_mode():
        args.out.write_text(markdown(measure(network, encoder, files), len(files)), encoding="utf-8")
        for kind in DEGRADED:
            sheet(network, files[:12], args.out.with_name(f"{args.out.stem}_{kind}.png"), kind)


if __name__ == "__main__":
    main()
