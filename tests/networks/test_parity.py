"""The network computes what the reference computes: golden outputs of the official program with deterministic weights."""

import hashlib

import numpy as np
import pytest
import torch

from codeformer_core import networks

VARIANTS = {"restoration": "smooth", "colorization": "smooth", "inpainting": "mask"}


@pytest.fixture(scope="module", params=VARIANTS)
def case(request, data, filled):
    """(golden arrays by short name, network, input (1, 3, 512, 512) in [-1, 1])."""
    variant = request.param
    name = VARIANTS[variant]
    with np.load(data / "parity" / f"golden_{variant}.npz") as file:
        golden = {key.removeprefix(f"{name}/"): file[key] for key in file.files}
    pixels = filled.make_input(name)
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == str(golden["input_sha256"])
    network = networks.load(filled(variant))
    assert network.task == variant
    return golden, network, torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255 * 2 - 1


@torch.inference_mode()
def test_codes_and_features(case):
    golden, network, x = case
    features, _ = network.encode(x)
    assert np.abs(features.numpy()[0] - golden["lq_feat"].reshape(features.shape[1:])).max() < 1e-4
    codes = network.predict(features).argmax(2)[0].numpy()
    sure = golden["margin"] > 1e-3
    assert sure.mean() > 0.95
    assert np.array_equal(codes[sure], golden["codes"][sure])


@pytest.mark.parametrize("match_style", [False, True])
@pytest.mark.parametrize("fidelity", [0, 0.5, 1])
@torch.inference_mode()
def test_output(case, fidelity, match_style):
    golden, network, x = case
    keep = network.arch.fuse_sides if fidelity else ()
    features, kept = network.encode(x, keep)
    out = network.decode(torch.from_numpy(golden["codes"]).long()[None], features, kept, fidelity, match_style)[0]
    row = f"w{fidelity}/adain{int(match_style)}"
    probe = out.flatten().numpy()[golden["probe_positions"]]
    assert np.abs(probe - golden[f"{row}/probe"]).max() < 1e-4
    assert np.abs(torch.nn.functional.avg_pool2d(out, 16).numpy() - golden[f"{row}/pool32"]).max() < 1e-4


@torch.inference_mode()
def test_forward_is_encode_predict_decode(case):
    golden, network, x = case
    probe = network(x, 1.0, match_style=True)[0].flatten().numpy()[golden["probe_positions"]]
    assert np.abs(probe - golden["w1/adain1/probe"]).max() < 1e-4
