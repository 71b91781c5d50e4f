"""Files of a run: the training state, the network for inference, contact sheets, the log; weights are written atomically."""

import errno
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.utils import save_image

from ..checkpoints.reading import UNREADABLE
from ..networks.transformer import join_attention
from ..runtime.atomic_write import atomic_write
from ..runtime.out_of_memory import is_out_of_memory


def save(content: Any, path: Path) -> None:
    """`torch.save` through an atomic rename: readers find the old file or the new one; it is on disk before it is renamed."""
    with atomic_write(path, overwrite=True, durable=True) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


def save_network(parameters: Mapping[str, Tensor], parts: Sequence[str], path: Path) -> None:
    """The EMA weights of these parts of the network in the layout of the released files, under `params_ema`."""
    saved = {k: v.cpu().clone() for k, v in join_attention(parameters).items() if k.split(".")[0] in parts}
    save({"params_ema": saved}, path)


def load(path: Path) -> dict[str, Any] | None:
    """What `save` has written, on the CPU; None without such a file, and a ValueError for one that is damaged or another's."""
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)  # a full GPU would look like a damaged file
    except (*UNREADABLE, OSError) as error:
        refused = isinstance(error, OSError) and error.errno != errno.EINVAL  # which is what a file gives that was cut off
        if refused or is_out_of_memory(error):
            raise
        raise ValueError(f"{path} is damaged, or no file of a run. Delete it to begin anew.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no file of a run. Delete it to begin anew.")
    return content


def save_sheet(rows: Sequence[Tensor], path: Path) -> None:
    """A contact sheet: rows of faces (N, 3, S, S) around [-1, 1] in a grid; a column shows one face."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = torch.cat([row.float().cpu() for row in rows])
    save_image(images, path, nrow=len(rows[0]), padding=0, normalize=True, value_range=(-1, 1))


class Log:
    """The log of a run: JSON lines in log.jsonl, and scalars for TensorBoard where that is installed.

    Args:
        folder: of the run.
        step: what an earlier run has logged from this step on is dropped, since those steps are repeated.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path, self.tensorboard = folder / "log.jsonl", None
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] < step]
        self.path.write_text("".join(f"{line}\n" for line in kept))
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self.tensorboard = SummaryWriter(folder / "tensorboard", purge_step=step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Add what was measured at a step."""
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step} | {name: float(f"{value:.6g}") for name, value in values.items()}) + "\n")
        if self.tensorboard:
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what TensorBoard still keeps."""
        if self.tensorboard:
            self.tensorboard.close()
