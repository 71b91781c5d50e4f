"""Record the golden outputs anew, from a checkout of the official project or from this one's network, and compare them.

    python tests/data/record_goldens.py --reference ../CodeFormer    # network and pipeline of the official code
    python tests/data/record_goldens.py --ours                       # this project's network

The network has the deterministic weights of fill_weights.py: nothing is downloaded for it. The pipeline needs the official
RetinaFace MobileNet0.25, which the official code fetches by itself. The checkout is imported while this runs, never copied.
"""

import argparse
import hashlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn

DATA = Path(__file__).resolve().parent
ROOT = DATA.parent.parent

#: Variant -> the input of its goldens.
INPUTS = {"restoration": "smooth", "colorization": "smooth", "inpainting": "mask"}
FIDELITIES, STYLES = (0, 0.5, 1), (False, True)
PHOTOS = ("astronaut_1face.png", "nasa_sts114_crew_7faces.jpg")

#: Checkpoint name of the modules whose output is summarised -> how a block is called in `stats_names`.
BLOCKS = {"encoder.blocks.": "enc", "ft_layers.": "tr", "generator.blocks.": "gen", "fuse_convs_dict.": "fuse"}

#: Last part of an array's name -> the largest difference between two recordings of the same arithmetic in fp32, on any CPU. The
#: logits move by up to 1.3e-4 between instruction sets, sums over a whole block by little of their size.
ALLOWED = dict.fromkeys(("probe", "pool32", "mean_std", "lq_feat"), 1e-4)
ALLOWED |= dict.fromkeys(("logits_pool", "logits_mean_std", "margin", "stats"), 1e-3)

#: Logit gap from which a code is certain: rounding does not change it.
CERTAIN = 1e-3

Arrays = dict[str, np.ndarray]

#: x (1, 3, 512, 512), fidelity, match_style -> the raw output (1, 3, 512, 512).
Forward = Callable[[Tensor, float, bool], Tensor]


class Difference(NamedTuple):
    """One array of two recordings: its name, the largest difference and what is allowed."""

    name: str
    found: float
    allowed: float


def fill_weights() -> Any:
    """The module fill_weights.py."""
    spec = importlib.util.spec_from_file_location("fill_weights", DATA / "parity" / "fill_weights.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def filled(variant: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The released layout with deterministic weights, and the options of the official constructor."""
    layout, filler = json.loads((DATA / "parity" / f"keys_{variant}.json").read_text()), fill_weights()
    state = {name: torch.from_numpy(filler.fill_array(name, tuple(shape))) for name, shape, _ in layout["keys"]}
    return state, layout["options"]


def our_network(variant: str) -> tuple[nn.Module, Forward]:
    sys.path.insert(0, str(ROOT))
    network = import_module("codeformer_core.networks").load(filled(variant)[0])
    return network, lambda x, fidelity, match_style: network(x, float(fidelity), match_style)


def import_reference(reference: Path) -> None:
    """Make a checkout importable without basicsr's own __init__, which imports the training code and a version file."""
    if not (reference / "basicsr" / "archs" / "codeformer_arch.py").is_file():
        raise SystemExit(f"{reference} is no checkout of the official CodeFormer: it has no basicsr/archs/codeformer_arch.py.")
    sys.path.insert(0, str(reference))
    package = types.ModuleType("basicsr")
    package.__path__ = [str(reference / "basicsr")]
    sys.modules["basicsr"] = package


def reference_network(variant: str) -> tuple[nn.Module, Forward]:
    state, options = filled(variant)
    network = import_module("basicsr.archs.codeformer_arch").CodeFormer(
        dim_embd=512, codebook_size=options["codebook_size"], n_head=8, n_layers=9, connect_list=options["connect_list"]
    )
    network.load_state_dict(state)
    return network.eval(), lambda x, fidelity, match_style: network(x, w=fidelity, adain=match_style)[0]


class Outputs:
    """Outputs of a network's modules by their checkpoint names, collected by forward hooks during one call."""

    def __init__(self, network: nn.Module) -> None:
        self.summaries: dict[str, list[float]] = {}
        self.tensors: dict[str, Tensor] = {}
        for name, module in network.named_modules():
            prefix = next((prefix for prefix in BLOCKS if name.startswith(prefix)), None)
            last = name.rpartition(".")[2]
            if prefix and name == f"{prefix}{last}":
                label = BLOCKS[prefix] + (last if prefix == "fuse_convs_dict." else f"{int(last):02}")
                module.register_forward_hook(lambda _, __, out, label=label: self._summarise(label, out))
            if name in ("encoder", "idx_pred_layer"):
                module.register_forward_hook(lambda _, __, out, name=name: self._keep(name, out))

    def _summarise(self, label: str, out: Any) -> None:
        values = out.detach().double()
        self.summaries[label] = [float(values.mean()), float(values.std(unbiased=False)), float(values.abs().max())]

    def _keep(self, name: str, out: Any) -> None:
        self.tensors[name] = (out[0] if isinstance(out, tuple) else out).detach()


@torch.inference_mode()
def record(
    network: nn.Module,
    forward: Forward,
    variant: str,
    fidelities: Sequence[float] = FIDELITIES,
    styles: Iterable[bool] = STYLES,
) -> Arrays:
    """The arrays of golden_<variant>.npz."""
    name = INPUTS[variant]
    pixels = fill_weights().make_input(name)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255 * 2 - 1
    positions = np.load(DATA / "parity" / f"golden_{variant}.npz")["probe_positions"]
    outputs = Outputs(network)
    arrays: Arrays = {
        "probe_positions": positions,
        f"{name}/input_sha256": np.array(hashlib.sha256(pixels.tobytes()).hexdigest()),
    }
    for fidelity in fidelities:
        for match_style in styles:
            outputs.summaries.clear()
            out = forward(x, fidelity, match_style)[0]
            row, channels = f"{name}/w{fidelity:g}/adain{int(match_style)}", out.double().flatten(1)
            arrays[f"{row}/pool32"] = torch.nn.functional.avg_pool2d(out, 16).numpy()
            arrays[f"{row}/probe"] = out.flatten().numpy()[positions]
            arrays[f"{row}/mean_std"] = torch.stack([channels.mean(1), channels.std(1, unbiased=False)]).numpy()
            arrays[f"{row}/stats_names"] = np.array(sorted(outputs.summaries))
            arrays[f"{row}/stats"] = np.array([outputs.summaries[label] for label in sorted(outputs.summaries)])
    logits = outputs.tensors["idx_pred_layer"].float().reshape(256, -1)  # one face: (256, 1, K) and (1, 256, K) alike
    best, order = logits.topk(2)
    return arrays | {
        f"{name}/codes": order[:, 0].short().numpy(),
        f"{name}/codes_sha256": np.array(hashlib.sha256(order[:, 0].short().numpy().tobytes()).hexdigest()),
        f"{name}/top2": order.short().numpy(),
        f"{name}/margin": (best[:, 0] - best[:, 1]).numpy(),
        f"{name}/lq_feat": outputs.tensors["encoder"].float()[0].numpy(),
        f"{name}/logits_mean_std": np.array([logits.double().mean(), logits.double().std(unbiased=False)]),
        f"{name}/logits_pool": logits.reshape(256, -1, 16).mean(2).numpy(),
    }


def compare(recorded: Mapping[str, np.ndarray], golden: Mapping[str, np.ndarray]) -> list[Difference]:
    """Every array of a recording beside the golden one; texts and codes that are certain must be the same."""
    differences = []
    for name, value in recorded.items():
        kind, expected = name.rpartition("/")[2], golden[name]
        if kind == "codes_sha256":  # those that are not certain may differ
            continue
        if value.shape != expected.shape:
            found = float("inf")
        elif kind in ALLOWED:
            scale = np.maximum(1, np.abs(expected)) if kind == "stats" else 1
            found = float((np.abs(value.astype(np.float64) - expected) / scale).max())
        elif kind in ("codes", "top2"):
            certain = golden[f"{name.rpartition('/')[0]}/margin"] > CERTAIN
            first, wanted = (array if array.ndim == 1 else array[:, 0] for array in (value, expected))
            found = float((first != wanted)[certain].sum())
        else:
            found = float((value != expected).sum())
        differences.append(Difference(name, found, ALLOWED.get(kind, 0)))
    return differences


def record_pipeline(photo: str, upscale: int) -> tuple[list[dict[str, Any]], list[np.ndarray], np.ndarray]:
    """Faces, crops and result (H, W, 3) RGB of the official helper, with `255 - crop` in the place of a network."""
    helper = import_module("facelib.utils.face_restoration_helper").FaceRestoreHelper(
        upscale,
        face_size=512,
        crop_ratio=(1, 1),
        det_model="retinaface_mobile0.25",
        save_ext="png",
        use_parse=False,
        device="cpu",
    )
    helper.read_image(str(DATA / "photos" / photo))
    helper.get_face_landmarks_5(resize=640, eye_dist_threshold=5)
    helper.align_warp_face()
    helper.restored_faces = [255 - crop for crop in helper.cropped_faces]
    helper.get_inverse_affine()
    result = helper.paste_faces_to_input_image()
    faces = [
        {"box": list(box[:4]), "landmarks": points.tolist(), "affine": affine.tolist()}
        for box, points, affine in zip(helper.det_faces, helper.all_landmarks_5, helper.affine_matrices, strict=True)
    ]
    return faces, [crop[..., ::-1] for crop in helper.cropped_faces], result[..., ::-1]


def _mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(np.asarray(a, np.float64) - b).mean())


def compare_pipeline(
    photo: str, upscale: int, faces: list[dict[str, Any]], crops: Sequence[np.ndarray], result: np.ndarray
) -> list:
    """A run of the pipeline beside the recorded one: lengths in pixels, colours in levels of 255."""
    stem = photo.rpartition(".")[0]
    golden = json.loads((DATA / "pipeline" / f"{stem}.json").read_text())
    if len(faces) != len(golden["faces"]):
        return [Difference(f"{stem}: number of faces", abs(len(faces) - len(golden["faces"])), 0)]
    rows = []
    for kind in ("box", "landmarks", "affine"):
        found = [np.abs(np.subtract(a[kind], b[kind])).max() for a, b in zip(faces, golden["faces"], strict=True)]
        rows.append(Difference(f"{stem}: {kind}", float(max(found)), 0.5))
    for number, path in enumerate(sorted((DATA / "pipeline").glob(f"{stem}_crop*.webp"))):
        rows.append(
            Difference(f"{stem}: crop {number}", _mean_difference(crops[number], cv2.imread(str(path))[..., ::-1]), 0.6)
        )
    recorded = cv2.imread(str(DATA / "pipeline" / f"{stem}_inverted_x{upscale}.webp"))[..., ::-1]
    for x0, y0, x1, y1 in golden[f"stored_x{upscale}"]:
        found = _mean_difference(result[y0:y1, x0:x1], recorded[y0:y1, x0:x1])
        rows.append(Difference(f"{stem}: result x{upscale} at ({x0}, {y0})", found, 0.3))
    return rows


def show(differences: Iterable[Difference]) -> int:
    """Print them, and count those above what is allowed."""
    wrong = 0
    for row in differences:
        bad = not row.found <= row.allowed
        wrong += bad
        print(f"{'DIFFERS' if bad else 'same   '}  {row.found:10.3g}  of {row.allowed:<8.3g} {row.name}")  # noqa: T201
    return wrong


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Record the golden outputs anew and compare them with the committed ones.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--reference", type=Path, metavar="FOLDER", help="a checkout of https://github.com/sczhou/CodeFormer")
    source.add_argument("--ours", action="store_true", help="this project's network instead")
    parser.add_argument("--variants", nargs="+", choices=INPUTS, default=list(INPUTS))
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="also save golden_<variant>.npz there")
    args = parser.parse_args(argv)
    if args.reference:
        import_reference(args.reference.resolve())
    wrong = 0
    for variant in args.variants:
        arrays = record(*(reference_network if args.reference else our_network)(variant), variant)
        if args.write:
            args.write.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(args.write / f"golden_{variant}.npz", torch=np.array(torch.__version__), **arrays)
        with np.load(DATA / "parity" / f"golden_{variant}.npz") as golden:
            wrong += show(compare(arrays, golden))
    for photo in PHOTOS if args.reference else ():
        for upscale in (1, 2):
            wrong += show(compare_pipeline(photo, upscale, *record_pipeline(photo, upscale)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
