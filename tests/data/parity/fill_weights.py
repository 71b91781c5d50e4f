"""Deterministic CodeFormer weights and inputs, so that two implementations can be compared without any released file.

Every array depends only on its parameter name and shape (NumPy's PCG64 raw stream, no transcendental functions), so any
network that uses the released files' parameter names can be filled bit for bit alike. The convolution kernels are exactly
zero-sum per output channel: without that, the positive mean of SiLU makes all 256 tokens alike and the codes say nothing.

    python fill_weights.py restoration codeformer_filled.pth    # writes {'params_ema': state_dict}, as the released files do
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

SQRT3 = 1.7320508075688772


def _bits(seed_text: str, count: int) -> np.ndarray:
    """`count` uint32 drawn from a PCG64 seeded with the SHA-256 of `seed_text`."""
    seed = int.from_bytes(hashlib.sha256(seed_text.encode()).digest()[:16], "little")
    return np.random.PCG64(seed).random_raw((count + 1) // 2).view(np.uint32)[:count]


def fill_array(name: str, shape: tuple, salt: str = "cf-v1") -> np.ndarray:
    """float32 weights for the parameter `name` of `shape`; uniform, with a deviation chosen by the parameter's role."""
    n, leaf = int(np.prod(shape)), name.rsplit(".", 1)[-1]
    bits = _bits(f"{salt}:{name}", n)
    if len(shape) == 4:
        k = (bits.astype(np.int64) >> 8).reshape(shape[0], -1)
        fan = k.shape[1]
        unit = ((k * fan - k.sum(1, keepdims=True)).astype(np.float64) / (8388608.0 * fan)).reshape(-1) * SQRT3
    else:
        unit = (bits.astype(np.float64) * (2.0 / 4294967296.0) - 1.0) * SQRT3
    if name.endswith("quantize.embedding.weight"):
        a = unit
    elif name == "position_emb":
        a = unit * 0.5
    elif leaf == "in_proj_weight":
        a = unit * (1.2 / np.sqrt(shape[1]))
    elif leaf == "in_proj_bias":
        a = unit * 0.05
    elif len(shape) == 1 and leaf == "weight":  # every 1-D weight is a norm's gain
        a = 1.0 + 0.15 * unit
    elif len(shape) == 1:
        a = unit * 0.05
    else:
        gain = 1.0
        if name.startswith("generator.blocks.") and shape[0] == 3:
            gain = 0.35
        elif ".scale.2." in name or ".shift.2." in name:
            gain = 0.5
        elif name.startswith("idx_pred_layer"):
            gain = 4.0
        elif name.startswith("feat_emb"):
            gain = 3.0
        elif ".conv2." in name:
            gain = 0.7
        elif ".proj_out." in name or ".out_proj." in name:
            gain = 0.5
        elif ".linear2." in name:
            gain = 0.7
        elif name.endswith((".q.weight", ".k.weight")):
            gain = 1.6
        a = unit * (gain / np.sqrt(int(np.prod(shape[1:]))))
    return a.reshape(shape).astype(np.float32)


def _u8(name: str, n: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    return np.random.PCG64(seed).random_raw((n + 7) // 8).view(np.uint8)[:n]


def _value_noise(name: str, cells: int, size: int = 512) -> np.ndarray:
    """Integer bilinear value noise, exact. (size, size, 3) int64 in 0..255."""
    g = _u8(name, (cells + 1) * (cells + 1) * 3).reshape(cells + 1, cells + 1, 3).astype(np.int64)
    step = size // cells
    i = np.arange(size)
    c, f = i // step, i % step
    top = g[c][:, c] * (step - f)[None, :, None] + g[c][:, c + 1] * f[None, :, None]
    bot = g[c + 1][:, c] * (step - f)[None, :, None] + g[c + 1][:, c + 1] * f[None, :, None]
    return (top * (step - f)[:, None, None] + bot * f[:, None, None]) // (step * step)


def make_input(name: str) -> np.ndarray:
    """A (512, 512, 3) uint8 RGB crop: 'smooth' is value noise, 'mask' the same with pure white holes."""
    base = (_value_noise("L4", 4) * 4 + _value_noise("L16", 16) * 2 + _value_noise("L64", 64)) // 7
    if name == "mask":
        base = np.minimum(base, 254).copy()
        base[150:280, 100:300] = 255
        base[330:400, 260:420] = 255
    elif name != "smooth":
        raise KeyError(name)
    return np.ascontiguousarray(base.astype(np.uint8))


def main() -> None:
    import torch

    variant, target = sys.argv[1:]
    keys = json.loads((Path(__file__).parent / f"keys_{variant}.json").read_text())["keys"]
    state = {k: torch.from_numpy(fill_array(k, tuple(shape))) for k, shape, dtype in keys}
    torch.save({"params_ema": state}, target)


if __name__ == "__main__":
    main()
