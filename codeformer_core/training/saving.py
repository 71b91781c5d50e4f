"""What a run leaves on disk: the state to go on from, the network that others load, the log. Files are whole or absent."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..networks.transformer import join_attention


def replace(content: Any, path: Path) -> None:
    """Write with torch.save beside `path`, then rename: whoever reads finds the old file or the new one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def network(parameters: Mapping[str, Tensor], path: Path) -> None:
    """The averaged weights as the released files have them, under `params_ema`."""
    replace({"params_ema": {k: v.cpu().clone() for k, v in join_attention(parameters).items()}}, path)


def resume(path: Path, device: torch.device) -> dict[str, Any] | None:
    """What `replace` has written of a run's state; None where there is none."""
    return torch.load(path, map_location=device, weights_only=True) if path.is_file() else None


class Log:
    """Losses by step, one JSON object a line.

    Args:
        path: the file; lines of `step` and later, which are about to be done again, are dropped.
    """

    def __init__(self, path: Path, step: int) -> None:
        lines = path.read_text().splitlines() if path.is_file() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] < step]
        path.write_text("".join(f"{line}\n" for line in kept))
        self.path = path

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """The losses of one step."""
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step} | {name: float(f"{value:.6g}") for name, value in values.items()}) + "\n")
