"""Whether a device computes what the golden outputs of the official program say (tests/data/README.md)."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from codeformer_core import networks

from .lines import Line

PARITY = Path(__file__).resolve().parent.parent / "tests" / "data" / "parity"

#: Codes that lead the second best by less may change with rounding; below 1e-3 they do on the CPU too.
MARGIN = 1e-2

#: PSNR in dB of `balanced` to `exact`.
CLOSE = 45.0


def golden() -> tuple[dict[str, Tensor], Tensor]:
    """The goldens' weights in the layout of the released network, and the face (1, 3, 512, 512) that they were recorded on."""
    filler = runpy.run_path(str(PARITY / "fill_weights.py"))
    keys = json.loads((PARITY / "keys_restoration.json").read_text())["keys"]
    face = torch.from_numpy(filler["make_input"]("smooth")).permute(2, 0, 1)[None].float() / 255
    return {name: torch.from_numpy(filler["fill_array"](name, tuple(shape))) for name, shape, _ in keys}, face


@torch.inference_mode()
def lines(device: torch.device) -> Iterator[Line]:
    """The released network with the goldens' weights: its codes in exact and balanced, and how close the two draw."""
    weights, face = golden()
    crops = face.to(device)
    with np.load(PARITY / "golden_restoration.npz") as file:
        codes, sure = file["smooth/codes"], file["smooth/margin"] > MARGIN
    drawn = {}
    for precision in ("exact", "balanced"):
        network = networks.load(dict(weights), precision=precision).to(device)
        encoded = network.encode_faces(crops, 0.5)
        equal = encoded.logits.argmax(2)[0].cpu().numpy() == codes
        drawn[precision] = network.decode_faces(encoded, 0.5)
        yield Line("parity", f"codes as the official program's, {precision}", float(equal.mean() * 100), "%")
        right = float(equal[sure].mean() * 100)
        yield Line("parity", f"those with a margin above {MARGIN:g}", right, "%", "100", right == 100)
    decibels = float(-10 * (drawn["balanced"] - drawn["exact"]).square().mean().log10())
    yield Line("parity", "balanced beside exact", decibels, "dB", f"at least {CLOSE:g}", decibels >= CLOSE)
